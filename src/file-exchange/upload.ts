import { Readable } from 'node:stream'
import { type FileMetadata, formatMetadata, type HashAlgorithm } from '../keys/signatures/file-metadata.js'
import { STATE_HEADER } from '../network/header-names.js'
import { ClientError } from '../relay-client/client-error.js'
import { apiPath, type ClientAnswer, isRefusal, type RelayClient } from '../relay-client/relay-client.js'
import type { FileKey } from '../values/ids.js'
import type { StableFile } from './stable-file.js'

/** `pending`: accepted, and on its way once the next hop can be reached. */
export type UploadOutcome = 'stored' | 'pending'

/**
 * Whether the relay has the file already, or has it on its way. Where it refuses to say so the file is sent: an answer to
 * HEAD has no body, so only the refusal of what follows can say why.
 * @throws {ClientError} when what answers is no relay
 */
export async function isThere(client: RelayClient, fileKey: FileKey, hash: string): Promise<boolean> {
  const answer = await client.send({ method: 'HEAD', path: sharedFilePath(fileKey), query: { hash } })
  if (isRefusal(answer) && answer.status < 400) throw await client.refusal(answer)
  answer.body.resume()
  return answer.status === 200
}

/** How long the relay may take no more of a file. The answer to all of it may take longer: the file is passed on meanwhile. */
const SILENCE_LIMIT_MS = 300_000

/**
 * Sends metadata and file, streaming.
 * @param metadata whose hash the file must still have
 * @param ttl as the contract writes it
 * @throws {ClientError} when the relay refuses, has a newer one, or the file changes on the way: nothing is stored then
 */
export async function uploadFile(
  client: RelayClient,
  fileKey: FileKey,
  file: StableFile,
  metadata: FileMetadata,
  ttl: string,
  onProgress?: (bytes: number) => void,
  silenceLimitMs = SILENCE_LIMIT_MS
): Promise<UploadOutcome> {
  const block = Buffer.from(`${formatMetadata(metadata)}\n`)
  const silence = new AbortController()
  const pieces = boundSilence(bodyOf(block, file, metadata, onProgress), silence, silenceLimitMs)
  const body = Readable.from(pieces, { objectMode: false })
  const answer = await client.request({
    method: 'PUT',
    signal: silence.signal,
    path: sharedFilePath(fileKey),
    query: { ttl },
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(block.length + file.sizeBytes)
    },
    body,
    isPatient: true
  })
  await drain(client, answer)
  const state = answer.headers[STATE_HEADER]
  if (state === 'superseded') {
    const { target, source, fileId } = fileKey
    throw new ClientError(
      `not kept: ${fileId} of ${source} for ${target} is there already, signed or accepted later. Check the clock of this machine`
    )
  }
  return answer.status === 202 || state === 'pending' ? 'pending' : 'stored'
}

/** The path of a shared file in the API. */
export function sharedFilePath({ target, source, fileId }: FileKey): string {
  return apiPath('shared-files', target, source, fileId)
}

async function* bodyOf(
  block: Buffer,
  file: StableFile,
  { algorithm, hashValue }: { readonly algorithm: HashAlgorithm; readonly hashValue: string },
  onProgress: ((bytes: number) => void) | undefined
): AsyncGenerator<Buffer, void> {
  yield block
  let bytes = 0
  for await (const chunk of file.content(algorithm, hashValue)) {
    yield chunk
    bytes += chunk.length
    onProgress?.(bytes)
  }
}

/** Aborts where the next piece is not asked for in time. */
async function* boundSilence(
  pieces: AsyncIterable<Buffer>,
  silence: AbortController,
  limitMs: number
): AsyncGenerator<Buffer, void> {
  let timer: NodeJS.Timeout | undefined
  try {
    for await (const piece of pieces) {
      timer = setTimeout(() => {
        silence.abort(new ClientError(`the relay took no more of the file for ${limitMs / 1_000} s`))
      }, limitMs)
      yield piece
      clearTimeout(timer)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Reads an answer to its end, so that the connection can be used again. */
async function drain(client: RelayClient, answer: ClientAnswer): Promise<void> {
  if (answer.status >= 500) throw await client.refusal(answer)
  await client.readText(answer)
}
