// The PKCE flow with an unmodified @supabase/supabase-js; prints what came of it.
// Mails are read, and a provider is agreed with, at an address of the test's.
import { createClient } from '@supabase/supabase-js'
const [url, helper, target, service, key] = process.argv.slice(2)
const kept = new Map()
const storage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
}
const realtime = { transport: class {} }
const auth = { flowType: 'pkce', storage, autoRefreshToken: false, detectSessionInUrl: false }
const supabase = createClient(url, key, { auth, realtime })
const out = {}
const codeOf = (address) => new URL(address).searchParams.get('code')
const mailed = async (email, count) => (await fetch(`${helper}/mail?email=${email}&count=${count}`)).text()
const agreed = async (address) => (await fetch(`${helper}/agree?url=${encodeURIComponent(address)}`)).text()

const email = 'ann@example.org'
const password = 'correct horse'
const signUp = await supabase.auth.signUp({ email, password, options: { emailRedirectTo: target, data: { color: 'red' } } })
out.signUp = [signUp.error?.message ?? null, signUp.data.session]
await supabase.auth.resend({ type: 'signup', email, options: { emailRedirectTo: target } })
const entered = await supabase.auth.exchangeCodeForSession(codeOf(await mailed(email, 2)))
out.entered = [entered.error?.message ?? null, entered.data.user?.email, entered.data.user?.user_metadata.color]
const updated = await supabase.auth.updateUser({ data: { color: 'blue' } })
out.updated = [updated.error?.message ?? null, updated.data.user?.user_metadata.color]
const claims = await supabase.auth.getClaims()
out.claims = [claims.error?.message ?? null, claims.data?.claims.sub === entered.data.user.id]

await supabase.auth.resetPasswordForEmail(email, { redirectTo: target })
const recovered = await supabase.auth.exchangeCodeForSession(codeOf(await mailed(email, 3)))
out.recovered = [recovered.error?.message ?? null, recovered.data.redirectType]
out.reset = (await supabase.auth.updateUser({ password: 'another one' })).error
out.password = (await supabase.auth.signInWithPassword({ email, password: 'another one' })).error

const link = await supabase.auth.linkIdentity({ provider: 'acme', options: { redirectTo: target, skipBrowserRedirect: true } })
const linked = await supabase.auth.exchangeCodeForSession(codeOf(await agreed(link.data.url)))
out.linked = [linked.error?.message ?? null, linked.data.user?.id === entered.data.user.id]
out.identities = (await supabase.auth.getUserIdentities()).data?.identities.map((each) => each.provider).sort()
await supabase.auth.signOut()
const start = await supabase.auth.signInWithOAuth({ provider: 'acme', options: { redirectTo: target, skipBrowserRedirect: true } })
const back = await supabase.auth.exchangeCodeForSession(codeOf(await agreed(start.data.url)))
out.provider = [back.error?.message ?? null, back.data.user?.id === entered.data.user.id]
const identity = (await supabase.auth.getUserIdentities()).data.identities.find((each) => each.provider === 'acme')
out.unlinked = (await supabase.auth.unlinkIdentity(identity)).error
const elsewhere = await supabase.auth.signInWithOAuth({ provider: 'acme', options: { redirectTo: 'https://evil.example/', skipBrowserRedirect: true } })
out.elsewhere = (await fetch(elsewhere.data.url, { redirect: 'manual' })).status

const admin = createClient(url, service, { auth: { persistSession: false, autoRefreshToken: false }, realtime }).auth.admin
const made = await admin.createUser({ email: 'bea@example.org', password, email_confirm: true, app_metadata: { plan: 'gold' } })
out.made = [made.error?.message ?? null, made.data.user?.app_metadata.plan]
const listed = await admin.listUsers({ page: 1, perPage: 10 })
out.listed = [listed.error?.message ?? null, listed.data.users.length, listed.data.total]
out.read = (await admin.getUserById(made.data.user.id)).data.user?.email
out.changed = (await admin.updateUserById(made.data.user.id, { user_metadata: { a: 1 } })).data.user?.user_metadata.a
const invited = await admin.inviteUserByEmail('cem@example.org')
out.invited = [invited.error?.message ?? null, invited.data.user?.email]
const generated = await admin.generateLink({ type: 'magiclink', email: 'bea@example.org' })
const otp = await supabase.auth.verifyOtp({ token_hash: generated.data.properties.hashed_token, type: 'magiclink' })
out.generated = [otp.error?.message ?? null, otp.data.user?.id === made.data.user.id]
out.erased = (await admin.deleteUser(made.data.user.id)).error
out.gone = (await admin.getUserById(made.data.user.id)).error?.code
out.refused = (await supabase.auth.admin.listUsers()).error?.code
console.log(JSON.stringify(out))
