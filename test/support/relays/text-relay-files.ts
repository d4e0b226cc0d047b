import { createHash, createPublicKey, verify } from 'node:crypto'

/** A file that the stand-in keeps. */
export interface TextRelayFile {
  readonly metadata: ReadonlyMap<string, string>
  readonly bytes: Buffer
  readonly ttl: string
}

export interface FilePath {
  readonly target: string
  readonly source: string
  readonly fileId: string
}

/** `undefined` when it was kept; else the status of the refusal. */
export type PutResult = { readonly status: 200 } | { readonly status: 400 | 404 | 500; readonly text: string }

const REQUIRED = ['header', 'algorithm', 'digest', 'hash_value', 'short_pubkey', 'hostname', 'keydate', 'keyid']
const TTL =
  /^(?=\S)(?:\d+|(?:\d+ ?d(?:ays?)? ?)?(?:\d+ ?h(?:ours?)? ?)?(?:\d+ ?m(?:inutes?)? ?)?(?:\d+ ?s(?:econds?)?)?)$/

/** Splits what an agent sends: lines, an empty one, the file. Undefined when there is no empty line. */
export function splitBody(body: Buffer): { metadata: Map<string, string>; bytes: Buffer } | undefined {
  const end = body.indexOf('\n\n')
  if (end < 0) return undefined
  const lines = body.subarray(0, end).toString('utf8').split('\n')
  const metadata = new Map(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
  return { metadata, bytes: body.subarray(end + 2) }
}

/**
 * An existing relay's checks of a file from `source`, whose key hash is `keyHash`, in its order and with its statuses.
 * @param keyHash `sha256:<hex>`, undefined for a source that it does not know
 */
export function checkFile(body: Buffer, ttl: string | undefined, keyHash: string | undefined): PutResult {
  if (ttl === undefined || !TTL.test(ttl)) return { status: 400, text: 'invalid ttl' }
  const parts = splitBody(body)
  if (parts === undefined) return { status: 400, text: 'no metadata' }
  const { metadata, bytes } = parts
  const missing = REQUIRED.find(name => !metadata.has(name))
  if (missing !== undefined) return { status: 400, text: `missing ${missing}` }
  const algorithm = metadata.get('algorithm') ?? ''
  if (!['sha256', 'sha512'].includes(algorithm)) return { status: 400, text: `invalid algorithm ${algorithm}` }
  if (keyHash === undefined) return { status: 404, text: 'unknown source' }
  const key = readKey(metadata.get('short_pubkey') ?? '')
  if (key === undefined) return { status: 404, text: 'invalid public key' }
  const spki = key.export({ type: 'spki', format: 'der' })
  if (`sha256:${createHash('sha256').update(spki).digest('hex')}` !== keyHash) {
    return { status: 404, text: 'the key is not that of the source' }
  }
  const signature = Buffer.from(metadata.get('digest') ?? '', 'hex')
  return verify(algorithm, bytes, key, signature) ? { status: 200 } : { status: 500, text: 'invalid signature' }
}

function readKey(base64: string) {
  try {
    return createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs1' })
  } catch {
    return undefined
  }
}
