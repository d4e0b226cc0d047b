import { createHash, type Hash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { PassThrough, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  type FileMetadata,
  HASH_ALGORITHMS,
  type HashAlgorithm,
  parseMetadata
} from '../keys/signatures/file-metadata.js'
import { keyHashMatches } from '../keys/signatures/key-hash.js'
import { coveredSigningTime, readPublicKey, verifyFileSignature } from '../keys/signatures/verify-file.js'
import { FILE_METADATA_HEADER } from '../network/header-names.js'
import { ClientError, InputError } from '../relay-client/client-error.js'
import { asObject } from '../relay-client/json-answer.js'
import { apiPath, type ClientAnswer, type RelayClient } from '../relay-client/relay-client.js'
import { isMissing } from '../values/failures/system-error.js'
import type { FileKey } from '../values/ids.js'
import { isoTime } from '../values/time/iso-time.js'
import { pieceWriter } from './piece-writer.js'
import { type Destination, type DestinationRules, openDestination } from './places/destination.js'
import { statIfThere } from './places/file-place.js'
import type { Attributes, NewFile } from './places/new-file.js'
import { openRegularFile, type RegularFile } from './places/regular-file-place.js'
import { refuseSealed } from './sealed-magic.js'
import { sharedFilePath } from './upload.js'

/** The relay gives the file without its metadata: it may be anybody's. */
export class UnverifiableError extends ClientError {
  override name = 'UnverifiableError'
}

/** The file can be read with the private key of its target alone, and none was given. */
export class SealedFileError extends InputError {
  override name = 'SealedFileError'
}

export interface Download extends DestinationRules {
  readonly fileKey: FileKey
  readonly destination: string
  /** X25519, 32 bytes: the file is sealed, and is opened. */
  readonly openKey?: Uint8Array | undefined
  /** Whether to take a sealed file as it is, without a key. */
  readonly keepSealed?: boolean | undefined
  /** The key that the source must have, as in the nodes list. */
  readonly sourceKeyHash?: string | undefined
  /** The option or setting that {@link sourceKeyHash} comes from, for messages. */
  readonly sourceKeyName: string
  /** Takes a file of which the relay does not say who signed it. */
  readonly allowUnverified?: boolean | undefined
  /** An older file is not taken, and neither is one whose signature covers no time. Ms since 1970. */
  readonly signedFromMs?: number | undefined
  /** Called when the file has been verified, before it takes its place. @param signedAtMs where the signature covers it */
  readonly onVerified?: ((signedAtMs: number | undefined) => Promise<void>) | undefined
  /** Undefined: the mode of the former file, else what the umask leaves. */
  readonly attributes?: Attributes | undefined
  readonly onProgress?: (bytes: number, totalBytes: number | undefined) => void
}

/**
 * The party that says that the signature is by the source: an option, the nodes list of the relay, or nobody but the
 * relay.
 */
export type Voucher = 'option' | 'nodes list' | 'relay' | 'nobody'

export interface Downloaded {
  /** The size as transferred: sealed, if the file was. */
  readonly bytes: number
  readonly voucher: Voucher
  /** The properties of the file in its place. */
  readonly stats: Stats
  /** Whether it was written to a FIFO, a device or the output. */
  readonly isStream: boolean
}

/**
 * Fetches a file, verifies it, and puts it in place durably: whatever fails, the destination is as before.
 * @throws {ClientError | RelayError} saying what is wrong with the file, or why there is none
 */
export async function downloadFile(client: RelayClient, download: Download): Promise<Downloaded> {
  const destination = await openDestination(download.destination, download)
  try {
    const answer = await client.request({ method: 'GET', path: sharedFilePath(download.fileKey) })
    try {
      return await takeAnswer(client, answer, download, destination)
    } catch (error) {
      answer.body.on('error', () => undefined).destroy()
      throw error
    }
  } finally {
    await destination.close()
  }
}

async function takeAnswer(
  client: RelayClient,
  answer: ClientAnswer,
  download: Download,
  destination: Destination
): Promise<Downloaded> {
  const metadata = metadataOf(answer, download)
  const signedAtMs = metadata === undefined ? undefined : coveredSigningTime(metadata)
  checkAge(signedAtMs, download)
  const meter = new HashMeter(metadata?.algorithm ?? 'sha512', bytes => {
    download.onProgress?.(bytes, Number(answer.headers['content-length']) || undefined)
  })
  const isPrivate = download.openKey !== undefined || download.attributes !== undefined
  const file = await destination.create(isPrivate)
  try {
    await receive(answer, meter, file, download)
    const voucher = metadata === undefined ? 'nobody' : await verify(client, metadata, download, meter.digest())
    await download.onVerified?.(signedAtMs)
    const stats = await destination.finish(file, download.attributes)
    return { bytes: meter.bytes, voucher, stats, isStream: destination.isStream }
  } catch (error) {
    await file.discard()
    throw error
  }
}

/**
 * Every hash under which a local file may have been shared. One that grows is hashed as long as it was at first.
 * @returns undefined when there is no such file @throws {Error} when `signal` is aborted
 */
export async function hashesOf(path: string, signal?: AbortSignal): Promise<Record<HashAlgorithm, string> | undefined> {
  const file = await openIfThere(path)
  if (file === undefined) return undefined
  const hashes = HASH_ALGORITHMS.map(name => [name, createHash(name)] as const)
  try {
    const options = {
      autoClose: false,
      end: Math.min(file.stats.size, Number.MAX_SAFE_INTEGER),
      ...(signal === undefined ? {} : { signal })
    }
    for await (const chunk of file.handle.createReadStream(options)) {
      for (const [, hash] of hashes) hash.update(chunk as Buffer)
    }
  } finally {
    await file.handle.close()
  }
  const [sha1 = '', sha256 = '', sha512 = ''] = hashes.map(([, hash]) => hash.digest('hex'))
  return { sha1, sha256, sha512 }
}

async function openIfThere(path: string): Promise<RegularFile | undefined> {
  if ((await statIfThere(path)) === undefined) return undefined
  try {
    return await openRegularFile(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function metadataOf(answer: ClientAnswer, { allowUnverified }: Download): FileMetadata | undefined {
  const header = answer.headers[FILE_METADATA_HEADER]
  if (typeof header === 'string') return parseMetadata(Buffer.from(header, 'base64').toString('utf8'))
  if (allowUnverified === true) return undefined
  throw new UnverifiableError('the relay does not say who signed the file, so it cannot be verified')
}

/** Refuses a file that is too old: whoever kept an older one, with its good signature, could hand it out again. */
function checkAge(signedAtMs: number | undefined, { signedFromMs, fileKey }: Download): void {
  if (signedFromMs === undefined || (signedAtMs !== undefined && signedAtMs >= signedFromMs)) return
  const age = signedAtMs === undefined ? 'has a signature that covers no time' : `was signed at ${isoTime(signedAtMs)}`
  const last = isoTime(signedFromMs)
  throw new ClientError(
    `${fileKey.fileId} of ${fileKey.source} ${age}, and one signed at ${last} was taken before: an older file is not taken again`
  )
}

async function receive(
  answer: ClientAnswer,
  meter: HashMeter,
  file: NewFile,
  { openKey, keepSealed, fileKey: { fileId, source } }: Download
): Promise<void> {
  const refusal = () => new SealedFileError(`${fileId} of ${source} is sealed`)
  const read = async () => {
    if (openKey !== undefined) return (await import('./sealed-file.js')).createOpenStream(openKey)
    return keepSealed === true ? new PassThrough() : refuseSealed(refusal)
  }
  await pipeline(
    answer.body,
    meter,
    await read(),
    pieceWriter(piece => file.append(piece))
  )
}

async function verify(
  client: RelayClient,
  metadata: FileMetadata,
  { fileKey, sourceKeyHash, sourceKeyName }: Download,
  hash: Buffer
): Promise<Voucher> {
  const publicKey = readPublicKey(metadata)
  verifyFileSignature(metadata, publicKey, fileKey, hash)
  const listed = sourceKeyHash ?? (await listedKeyHash(client, fileKey.source))
  if (listed === undefined) return 'relay'
  if (keyHashMatches(publicKey.spkiDer, listed)) return sourceKeyHash === undefined ? 'nodes list' : 'option'
  const from = sourceKeyHash === undefined ? "the relay's nodes list" : sourceKeyName
  throw new ClientError(`${fileKey.fileId} is not signed by ${fileKey.source}: ${from} has another key for it`)
}

/** The source's key hash in the relay's nodes list, where we may ask. */
async function listedKeyHash(client: RelayClient, source: string): Promise<string | undefined> {
  const answer = await client.send({ method: 'GET', path: apiPath('nodes', source) })
  if (answer.status !== 200) {
    await client.refusal(answer) // reads it, so that the connection can be used again
    return undefined
  }
  const keyHash = asObject(await client.readJson(answer), 'a node').key_hash
  return typeof keyHash === 'string' ? keyHash : undefined
}

/** Hashes what passes. */
class HashMeter extends Transform {
  readonly #hash: Hash
  bytes = 0

  constructor(
    algorithm: HashAlgorithm,
    private readonly onBytes: (bytes: number) => void
  ) {
    super()
    this.#hash = createHash(algorithm)
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.#hash.update(chunk)
    this.bytes += chunk.length
    this.onBytes(this.bytes)
    done(null, chunk)
  }

  digest(): Buffer {
    return this.#hash.digest()
  }
}
