// A resumable upload with an unmodified tus-js-client; prints how far it came, or that it is done.
import { createClient } from '@supabase/supabase-js'
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Upload } from 'tus-js-client'
const [url, file, state, until, key] = process.argv.slice(2)
const kept = existsSync(state) ? JSON.parse(readFileSync(state)) : {}
const supabase = createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: class {} } })
if (!kept.session) {
  kept.session = (await supabase.auth.signInAnonymously()).data.session
  kept.path = `${kept.session.user.id}/11111111-1111-4111-8111-111111111111/model.glb`
}
const size = readFileSync(file).length
await new Promise((resolve, reject) => {
  const upload = new Upload(createReadStream(file), {
    endpoint: `${url}/storage/v1/upload/resumable`,
    retryDelays: [100, 500, 1000, 2000, 4000],
    headers: { authorization: `Bearer ${kept.session.access_token}`, apikey: key },
    uploadDataDuringCreation: true,
    uploadUrl: kept.uploadUrl ?? null,
    uploadSize: size,
    metadata: { bucketName: 'user-assets', objectName: kept.path, contentType: 'model/gltf-binary', cacheControl: '3600' },
    chunkSize: 6 * 1024 * 1024,
    onError: reject,
    onSuccess: resolve,
    onUploadUrlAvailable: () => { kept.uploadUrl = upload.url },
    onChunkComplete: (_, accepted) => {
      kept.accepted = accepted
      writeFileSync(state, JSON.stringify(kept))
      if (accepted < size && accepted >= Number(until)) {
        console.log(JSON.stringify({ accepted }))
        process.exit(0)
      }
    },
  })
  upload.start()
})
await supabase.auth.setSession(kept.session)
const read = await supabase.storage.from('user-assets').download(kept.path)
const bytes = Buffer.from(await read.data.arrayBuffer())
console.log(JSON.stringify({ done: true, same: bytes.equals(readFileSync(file)) }))
