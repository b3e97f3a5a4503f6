CREATE OR REPLACE FUNCTION lock_counters_of(person uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.profiles WHERE id = person OR id IN (
        SELECT following_id FROM public.follows WHERE follower_id = person
        UNION SELECT follower_id FROM public.follows WHERE following_id = person)
    ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM public.profiles WHERE id = person FOR UPDATE;
    -- Some of these are deleted, so likes must not get hold of them meanwhile.
    PERFORM FROM public.creations WHERE id IN (
        SELECT creation_id FROM public.likes WHERE user_id = person
        UNION SELECT creation_id FROM public.comments WHERE user_id = person
        UNION SELECT id FROM public.creations WHERE user_id = person
        UNION SELECT remix_of FROM public.creations WHERE user_id = person
        UNION SELECT c.id FROM public.creations c JOIN public.creations o ON o.id = c.remix_of WHERE o.user_id = person)
    ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminor_conversations WHERE user_id = person ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminor_messages WHERE user_id = person AND role = 'assistant' ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminor_relationships WHERE user_id = person ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminors WHERE id IN (
        SELECT luminor_id FROM public.luminor_relationships WHERE user_id = person
        UNION SELECT luminor_id FROM public.luminor_conversations WHERE user_id = person)
    ORDER BY id FOR NO KEY UPDATE;
END
$$;
