// Somebody who came from a Supabase project signs in with the old password; prints what they find.
import { createClient } from '@supabase/supabase-js'
const [url, password, key] = process.argv.slice(2)
const supabase = createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: class {} } })
const out = {}
const signedIn = await supabase.auth.signInWithPassword({ email: 'ann@example.org', password })
const user = signedIn.data.user
out.user = [signedIn.error?.message ?? null, user?.id, user?.user_metadata.color, user?.app_metadata.plan]
out.identities = user?.identities.map((each) => each.provider).sort()
const profile = await supabase.from('profiles').select('username, bio, tier, follower_count, creation_count, avatar_url').eq('id', user.id).single()
out.profile = profile.data ?? profile.error
const creations = await supabase.from('creations').select('title, status, like_count, comment_count, view_count, comments(content)').order('title').order('created_at', { referencedTable: 'comments' })
out.creations = creations.data ?? creations.error
const talks = await supabase.from('luminor_conversations').select('title, message_count, luminors(slug), luminor_messages(role, content)').order('created_at', { referencedTable: 'luminor_messages' }).single()
out.talks = talks.data ?? talks.error
const bond = await supabase.from('luminor_relationships').select('bond_level, bond_xp, total_interactions, key_memories').single()
out.bond = bond.data && [bond.data.bond_level, bond.data.total_interactions, bond.data.key_memories.map((each) => each.content)]
const found = await supabase.rpc('search_creations', { p_query: 'dragon', p_type: 'image', p_limit: 20, p_offset: 0 })
out.found = found.data?.length ?? found.error
const file = await supabase.storage.from('creations').download(`${user.id}/image/c0000000-0000-4000-8000-000000000001.pdf`)
out.file = file.error?.message ?? (await file.data.text())
const banned = await supabase.auth.signInWithPassword({ email: 'cem@example.org', password })
out.banned = banned.error?.code
out.again = (await supabase.auth.signInWithPassword({ email: 'ann@example.org', password })).error
console.log(JSON.stringify(out))
