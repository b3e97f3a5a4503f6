-- The tables of a Supabase project: those that Supabase makes, as far as they matter here, and a social platform.
CREATE SCHEMA auth;
CREATE TABLE auth.users (
    instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255),
    encrypted_password varchar(255), email_confirmed_at timestamptz, invited_at timestamptz,
    confirmation_token varchar(255), confirmation_sent_at timestamptz, recovery_token varchar(255),
    recovery_sent_at timestamptz, email_change_token_new varchar(255), email_change varchar(255),
    email_change_sent_at timestamptz, last_sign_in_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb,
    is_super_admin boolean, created_at timestamptz, updated_at timestamptz, phone text UNIQUE DEFAULT NULL,
    phone_confirmed_at timestamptz, confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    banned_until timestamptz, is_sso_user boolean NOT NULL DEFAULT false, deleted_at timestamptz,
    is_anonymous boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX users_email_partial_key ON auth.users (email) WHERE NOT is_sso_user;
CREATE TABLE auth.identities (
    provider_id text NOT NULL, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    identity_data jsonb NOT NULL, provider text NOT NULL, last_sign_in_at timestamptz, created_at timestamptz,
    updated_at timestamptz, email text GENERATED ALWAYS AS (lower(identity_data ->> 'email')) STORED,
    id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY, UNIQUE (provider_id, provider)
);
CREATE SCHEMA storage;
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text NOT NULL, public boolean DEFAULT false);
CREATE TABLE storage.objects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), bucket_id text REFERENCES storage.buckets, name text, owner uuid,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), metadata jsonb, owner_id text
);
CREATE TABLE public.profiles (
    id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, username text UNIQUE, display_name text,
    avatar_url text, bio text, arcanean_id text UNIQUE, tier text DEFAULT 'explorer', subscription_status text,
    stripe_customer_id text, stripe_subscription_id text, preferences jsonb DEFAULT '{}',
    onboarding_completed boolean DEFAULT false, onboarding_step integer DEFAULT 0, creation_count integer DEFAULT 0,
    follower_count integer DEFAULT 0, following_count integer DEFAULT 0, is_active boolean DEFAULT true,
    is_verified boolean DEFAULT false, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    last_active_at timestamptz
);
CREATE TABLE public.luminors (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, slug text UNIQUE NOT NULL, title text,
    specialty text, color text, avatar_url text, icon text, personality jsonb DEFAULT '{}', system_prompt text,
    greeting_message text, expertise text[], ai_tools text[], is_active boolean DEFAULT true,
    is_public boolean DEFAULT true, interaction_count integer DEFAULT 0, user_count integer DEFAULT 0,
    average_rating numeric, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
);
CREATE TABLE public.luminor_conversations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    luminor_id uuid REFERENCES public.luminors, title text, session_id text, context jsonb DEFAULT '{}',
    is_active boolean DEFAULT true, is_archived boolean DEFAULT false, message_count integer DEFAULT 0,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), last_message_at timestamptz
);
CREATE TABLE public.luminor_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid REFERENCES public.luminor_conversations ON DELETE CASCADE,
    user_id uuid REFERENCES public.profiles ON DELETE CASCADE, role text NOT NULL, content text NOT NULL, model text,
    tokens integer, cost numeric, user_rating integer, was_helpful boolean, created_at timestamptz DEFAULT now()
);
CREATE TABLE public.luminor_relationships (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    luminor_id uuid REFERENCES public.luminors, bond_level integer DEFAULT 1, bond_xp integer DEFAULT 0,
    total_interactions integer DEFAULT 0, personality_match jsonb DEFAULT '{}', user_preferences jsonb DEFAULT '{}',
    key_memories jsonb DEFAULT '[]', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    last_interaction_at timestamptz, UNIQUE (user_id, luminor_id)
);
CREATE TABLE public.creations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    title text NOT NULL, description text, type text NOT NULL, file_url text, thumbnail_url text, file_size integer,
    file_format text, ai_tool text, prompt text, model text, generation_params jsonb DEFAULT '{}', seed integer,
    metadata jsonb DEFAULT '{}', status text DEFAULT 'draft', is_public boolean DEFAULT false,
    is_featured boolean DEFAULT false, is_nsfw boolean DEFAULT false, license text DEFAULT 'all-rights-reserved',
    allow_remix boolean DEFAULT false, allow_commercial boolean DEFAULT false, tags text[] DEFAULT '{}',
    categories text[] DEFAULT '{}', view_count integer DEFAULT 0, like_count integer DEFAULT 0,
    comment_count integer DEFAULT 0, remix_count integer DEFAULT 0, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), published_at timestamptz
);
CREATE TABLE public.likes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    creation_id uuid REFERENCES public.creations ON DELETE CASCADE, created_at timestamptz DEFAULT now(),
    UNIQUE (user_id, creation_id)
);
CREATE TABLE public.comments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    creation_id uuid REFERENCES public.creations ON DELETE CASCADE, content text NOT NULL,
    parent_comment_id uuid REFERENCES public.comments, is_edited boolean DEFAULT false,
    is_flagged boolean DEFAULT false, like_count integer DEFAULT 0, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE TABLE public.follows (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), follower_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    following_id uuid REFERENCES public.profiles ON DELETE CASCADE, notify_creations boolean DEFAULT false,
    created_at timestamptz DEFAULT now(), UNIQUE (follower_id, following_id)
);
CREATE TABLE public.notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES public.profiles ON DELETE CASCADE,
    type text NOT NULL, title text NOT NULL, message text, action_url text, metadata jsonb DEFAULT '{}',
    is_read boolean DEFAULT false, is_archived boolean DEFAULT false, created_at timestamptz DEFAULT now(),
    read_at timestamptz
);
