// Channels of an unmodified @supabase/supabase-js: changes, broadcast, presence; prints what came of it.
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
const [url, key] = [process.argv[2], process.argv[3]]
const vsn = process.argv[4] // the version of the protocol; the client's own where it is not given
const client = () => createClient(url, key, {
  auth: { persistSession: false, autoRefreshToken: false },
  realtime: { transport: WebSocket, ...(vsn ? { vsn } : {}) },
})
const until = async (found, what) => {
  for (let n = 0; n < 200; n++) { if (found()) return; await new Promise((done) => setTimeout(done, 50)) }
  throw new Error(`not in time: ${what}`)
}
const joined = (channel) => new Promise((done, fail) => channel.subscribe((status, error) => {
  if (status === 'SUBSCRIBED') done(); else if (status === 'CHANNEL_ERROR') fail(error)
}))
const settled = (channel) => new Promise((done) => channel.on('system', {}, (said) => said.extension === 'postgres_changes' && done(said.status)))
const out = {}
const [ann, ben] = [client(), client()]
const annId = (await ann.auth.signInAnonymously()).data.user.id
const benId = (await ben.auth.signInAnonymously()).data.user.id

// Changes: Ann's conversation is for Ann alone, whatever Ben asks for.
const heard = { ann: [], ben: [], deleted: [] }
const of = (event, filter) => ({ event, schema: 'public', table: 'luminor_conversations', ...(filter ? { filter } : {}) })
const mine = ann.channel('mine')
  .on('postgres_changes', of('*', `user_id=eq.${annId}`), (said) => heard.ann.push([said.eventType, said.new.title ?? null]))
  .on('postgres_changes', of('DELETE'), (said) => heard.deleted.push(Object.keys(said.old).join()))
const theirs = ben.channel('theirs')
for (const filter of [undefined, `user_id=eq.${annId}`, `user_id=in.(${annId},${benId})`, 'message_count=gte.0', 'title=neq.x'])
  theirs.on('postgres_changes', of('*', filter), (said) => heard.ben.push(said))
const ready = [settled(mine), settled(theirs)]
await Promise.all([joined(mine), joined(theirs)])
out.ready = await Promise.all(ready)
const luminor = (await ann.from('luminors').select('id').limit(1).single()).data.id
const row = { user_id: annId, luminor_id: luminor, session_id: 's', title: 'one' }
const made = await ann.from('luminor_conversations').insert(row).select().single()
await ann.from('luminor_conversations').update({ title: 'two' }).eq('id', made.data.id)
await until(() => heard.ann.length === 2, 'insert and update')
await ann.from('luminor_conversations').delete().eq('id', made.data.id)
await until(() => heard.deleted.length === 1 && heard.ann.length === 3, 'delete')
out.ann = [...heard.ann]
out.deleted = heard.deleted
out.ben = heard.ben.length

// Broadcast: with an answer, of bytes, and over HTTP.
const said = []
const [left, right] = [ann.channel('room', { config: { broadcast: { ack: true } } }), ben.channel('room')]
right.on('broadcast', { event: '*' }, (message) => said.push([message.event, message.payload instanceof ArrayBuffer ? message.payload.byteLength : message.payload]))
await Promise.all([joined(left), joined(right)])
out.acknowledged = await left.send({ type: 'broadcast', event: 'a', payload: { n: 1 } })
if (vsn !== '1.0.0') await left.send({ type: 'broadcast', event: 'b', payload: new Uint8Array([1, 2, 3]).buffer })
out.http = await client().channel('room').httpSend('c', { n: 2 })
await until(() => said.length === (vsn === '1.0.0' ? 2 : 3), 'broadcasts')
out.said = said

// Presence.
const [here, there] = [ann.channel('hall', { config: { presence: { key: 'ann' } } }), ben.channel('hall', { config: { presence: { key: 'ben' } } })]
const seen = { joins: [], leaves: [] }
there.on('presence', { event: 'sync' }, () => {})
here.on('presence', { event: 'join' }, ({ key }) => seen.joins.push(key))
here.on('presence', { event: 'leave' }, ({ key }) => seen.leaves.push(key))
await Promise.all([joined(here), joined(there)])
out.tracked = await there.track({ mood: 'glad' })
await until(() => here.presenceState().ben?.[0]?.mood === 'glad', 'presence')
await there.untrack()
await until(() => seen.leaves.includes('ben'), 'leave')
out.seen = seen

// Private channels are closed; a new token is taken up; a client that reconnects joins again.
out.private = await new Promise((done) => ann.channel('p', { config: { private: true } }).subscribe((status, error) => done([status, String(error?.message ?? error).includes('permissions')])))
await ann.auth.refreshSession()
await ann.realtime.setAuth()
ann.realtime.conn?.close?.()
await ann.realtime.disconnect()
ann.realtime.connect()
await until(() => mine.state === 'joined' && ann.realtime.isConnected(), 'rejoining')
await new Promise((done) => setTimeout(done, 300))
await ann.from('luminor_conversations').insert({ ...row, session_id: 't', title: 'three' })
await until(() => heard.ann.length === 4, 'a change after reconnecting')
out.again = heard.ann[3]

// Signing out ends what was hers.
const closed = new Promise((done) => mine.on('system', {}, (said) => said.extension === 'system' && done(said.status)))
await ann.auth.signOut()
out.signedOut = await closed
console.log(JSON.stringify(out))
process.exit(0)
