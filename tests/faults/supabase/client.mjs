// What an application does with an unmodified @supabase/supabase-js; prints what came of it.
import { createClient } from '@supabase/supabase-js'
const [url, key] = [process.argv[2], process.argv[3]]
const options = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: class {} } }
const supabase = createClient(url, key, options)
const out = {}
const guest = await supabase.auth.signInAnonymously({ options: { data: { display_name: 'Ann' } } })
out.guest = [guest.error?.message ?? null, guest.data.user?.is_anonymous]
const userId = guest.data.user.id
const profile = await supabase.from('profiles').select('*').eq('id', userId).single()
out.profile = [profile.error, profile.data?.id === userId]
const luminor = (await supabase.from('luminors').select('id').limit(1).single()).data
const conversation = await supabase.rpc('get_or_create_conversation', { p_user_id: userId, p_luminor_id: luminor.id, p_session_id: 's' })
out.conversation = [conversation.error, typeof conversation.data]
const search = await supabase.rpc('search_creations', { p_query: 'dragon', p_type: 'image', p_limit: 20, p_offset: 0 })
out.search = [search.error, search.data]
const list = await supabase.from('luminor_conversations').select('id, luminors(name)', { count: 'exact' })
out.list = [list.error, list.count]
const claims = await supabase.auth.getClaims()
out.claims = [claims.error?.message ?? null, claims.data?.claims?.sub === userId]
const user = await supabase.auth.getUser()
out.user = [user.error, user.data.user?.id === userId]
const refreshed = await supabase.auth.refreshSession()
out.refreshed = [refreshed.error, refreshed.data.user?.id === userId]
const glb = new Blob([new Uint8Array([0x67,0x6c,0x54,0x46,1,2,3])], { type: 'model/gltf-binary' })
const path = `${userId}/11111111-1111-4111-8111-111111111111/model.glb`
const uploaded = await supabase.storage.from('user-assets').upload(path, glb)
out.uploaded = [uploaded.error?.message ?? null, uploaded.data?.path === path]
const downloaded = await supabase.storage.from('user-assets').download(path)
out.downloaded = [downloaded.error?.message ?? null, downloaded.data?.size]
const pub = await fetch(supabase.storage.from('user-assets').getPublicUrl(path).data.publicUrl)
out.public = pub.status
const signed = await supabase.storage.from('user-assets').createSignedUrl(path, 60)
out.signed = [signed.error?.message ?? null, (await fetch(signed.data.signedUrl)).status]
out.listed = (await supabase.storage.from('user-assets').list(userId)).data?.map((f) => f.name)
out.info = (await supabase.storage.from('user-assets').info(path)).data?.size
out.exists = (await supabase.storage.from('user-assets').exists(path)).data
const uploadUrl = await supabase.storage.from('user-assets').createSignedUploadUrl(path.replace('1111/model', '1112/model'))
const sent = await supabase.storage.from('user-assets').uploadToSignedUrl(uploadUrl.data.path, uploadUrl.data.token, glb)
out.uploadUrl = [uploadUrl.error?.message ?? null, sent.error?.message ?? null]
out.removed = (await supabase.storage.from('user-assets').remove([path])).data?.length
out.buckets = (await supabase.storage.listBuckets()).data?.length > 3
const wrong = await supabase.auth.signInWithPassword({ email: 'a@example.org', password: 'wrong one' })
out.wrong = wrong.error?.code
out.signedOut = (await supabase.auth.signOut()).error
console.log(JSON.stringify(out))
