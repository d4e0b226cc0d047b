import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream, type Stats } from 'node:fs'
import { chmod, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type FileMetadata, HASH_ALGORITHMS, type HashAlgorithm, parseMetadata } from '../values/file-metadata.js'
import { readPublicKey, verifyFileSignature } from '../values/file-signature.js'
import { FILE_METADATA_HEADER } from '../values/header-names.js'
import type { FileKey } from '../values/ids.js'
import { keyHashMatches } from '../values/key-hash.js'
import { CommandError, errorCode, errorMessage } from './command-error.js'
import { asObject } from './json.js'
import { syncFolder, temporaryBeside } from './put-in-place.js'
import { type ClientAnswer, pathOf, type RelayClient } from './relay-client.js'
import { filePath } from './upload.js'

export interface Download {
  readonly fileKey: FileKey
  readonly destination: string
  /** X25519, 32 bytes: the file is sealed, and is opened. */
  readonly openKey?: Uint8Array | undefined
  /** As in the nodes list: the source's key must be this one. */
  readonly sourceKeyHash?: string | undefined
  /** Takes a file of which the relay does not say who signed it. */
  readonly allowUnverified?: boolean | undefined
  /** Given the verified file before it takes its place, to see to its mode and owner. */
  readonly prepare?: ((temporary: string) => Promise<void>) | undefined
  readonly onProgress?: (bytes: number, totalBytes: number | undefined) => void
}

/** Who says that the signature is by the source: an option, the nodes list of the relay, or nobody but the relay. */
export type Voucher = 'option' | 'nodes list' | 'relay' | 'nobody'

export interface Downloaded {
  /** As transferred: sealed, if it was. */
  readonly bytes: number
  readonly voucher: Voucher
}

/**
 * Fetches a file, verifies it, and puts it in place durably: whatever fails, the destination is as before.
 * @throws {CommandError | RelayError} saying what is wrong with the file, or why there is none
 */
export async function downloadFile(client: RelayClient, download: Download): Promise<Downloaded> {
  const { fileKey, destination } = download
  await checkDestination(destination)
  const answer = await client.request({ method: 'GET', path: filePath(fileKey), isPatient: true })
  const temporary = temporaryBeside(destination)
  try {
    const metadata = metadataOf(answer, download)
    const meter = new HashMeter(metadata?.algorithm ?? 'sha512', bytes => {
      download.onProgress?.(bytes, Number(answer.headers['content-length']) || undefined)
    })
    await receive(answer, meter, temporary, download.openKey)
    const voucher = metadata === undefined ? 'nobody' : await verify(client, metadata, download, meter.digest())
    await putReceivedInPlace(temporary, destination, download.prepare)
    return { bytes: meter.bytes, voucher }
  } catch (error) {
    answer.body.on('error', () => undefined).destroy()
    await rm(temporary, { force: true })
    throw error
  }
}

/** Before anything is fetched. */
async function checkDestination(destination: string): Promise<void> {
  const former = await statIfThere(destination)
  if (former?.isDirectory() === true) throw new CommandError(`${destination} is a folder; name a file in it`)
  const folder = dirname(destination)
  const stats = await statIfThere(folder)
  if (stats?.isDirectory() !== true) {
    throw new CommandError(
      `${destination} cannot be written: there is no folder ${folder}; create it, or check the path`
    )
  }
}

/** @returns undefined where there is nothing @throws {CommandError} where that cannot be told */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw new CommandError(`${path} cannot be written: ${errorMessage(error)}`, undefined, { cause: error })
  }
}

/** Every hash under which a local file may have been shared. @returns undefined when there is no such file */
export async function hashesOf(path: string): Promise<Record<HashAlgorithm, string> | undefined> {
  const hashes = HASH_ALGORITHMS.map(name => [name, createHash(name)] as const)
  try {
    for await (const chunk of createReadStream(path)) for (const [, hash] of hashes) hash.update(chunk as Buffer)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  const [sha1 = '', sha256 = '', sha512 = ''] = hashes.map(([, hash]) => hash.digest('hex'))
  return { sha1, sha256, sha512 }
}

function metadataOf(answer: ClientAnswer, { allowUnverified }: Download): FileMetadata | undefined {
  const header = answer.headers[FILE_METADATA_HEADER]
  if (typeof header === 'string') return parseMetadata(Buffer.from(header, 'base64').toString('utf8'))
  if (allowUnverified === true) return undefined
  throw new CommandError('the relay does not say who signed the file, so it cannot be verified (--allow-unverified)')
}

async function receive(
  answer: ClientAnswer,
  meter: HashMeter,
  path: string,
  openKey: Uint8Array | undefined
): Promise<void> {
  const target = createWriteStream(path, { flags: 'wx', flush: true, mode: openKey === undefined ? 0o666 : 0o600 })
  if (openKey === undefined) return pipeline(answer.body, meter, target)
  const { createOpenStream } = await import('./sealed-file.js')
  await pipeline(answer.body, meter, createOpenStream(openKey), target)
}

async function verify(
  client: RelayClient,
  metadata: FileMetadata,
  { fileKey, sourceKeyHash }: Download,
  hash: Buffer
): Promise<Voucher> {
  const publicKey = readPublicKey(metadata)
  verifyFileSignature(metadata, publicKey, fileKey, hash)
  const listed = sourceKeyHash ?? (await listedKeyHash(client, fileKey.source))
  if (listed === undefined) return 'relay'
  const from = sourceKeyHash === undefined ? "the relay's nodes list" : '--source-key-hash'
  if (keyHashMatches(publicKey.spkiDer, listed)) return sourceKeyHash === undefined ? 'nodes list' : 'option'
  throw new CommandError(`${fileKey.fileId} is not signed by ${fileKey.source}: ${from} has another key for it`)
}

/** What the relay's nodes list says of the source, where we may ask. */
async function listedKeyHash(client: RelayClient, source: string): Promise<string | undefined> {
  const answer = await client.send({ method: 'GET', path: pathOf('nodes', source) })
  let text = ''
  for await (const chunk of answer.body) text += String(chunk)
  if (answer.status !== 200) return undefined
  const keyHash = asObject(JSON.parse(text), 'a node').key_hash
  return typeof keyHash === 'string' ? keyHash : undefined
}

async function putReceivedInPlace(temporary: string, destination: string, prepare: Download['prepare']): Promise<void> {
  try {
    await chmod(temporary, (await stat(destination)).mode & 0o7777)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  await prepare?.(temporary)
  await rename(temporary, destination)
  await syncFolder(dirname(destination))
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
