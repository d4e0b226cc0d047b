import {
  type FileMetadata,
  formatMetadata,
  type HashAlgorithm,
  MAX_METADATA_BYTES,
  parseMetadata
} from '../keys/signatures/file-metadata.js'
import { type SigningKey, signFile, signingKeySpki } from '../keys/signatures/sign-file.js'
import { coveredSigningTime, readPublicKey, verifyFileSignature } from '../keys/signatures/verify-file.js'
import { RelayError } from '../values/failures/relay-error.js'
import { isMissing } from '../values/failures/system-error.js'
import type { FileKey } from '../values/ids.js'
import { agentFields } from './agent-fields.js'
import { replaceContent } from './atomic-write.js'
import { openRegularFile } from './places/regular-file-place.js'
import type { StableFile } from './stable-file.js'

/**
 * The signature of a file: from the file beside it as long as that is newer, else it is made, and kept there. One by
 * another key, by another algorithm, or for other names (Ed25519) is made again as well.
 */
export async function signatureFor(
  file: StableFile,
  signaturePath: string,
  signingKey: SigningKey,
  fileKey: FileKey,
  algorithm: HashAlgorithm
): Promise<FileMetadata> {
  const kept = await readKept(signaturePath)
  const isOurs = kept !== undefined && isBy(kept.metadata, signingKey, fileKey)
  const isCurrent = isOurs && kept.modifiedAtMs > file.modifiedAtMs && Math.floor(kept.modifiedAtMs) <= Date.now() // else the clock was set back since it was made
  if (isCurrent && kept.metadata.algorithm === algorithm) return kept.metadata
  const signedAtMs = signingTime(Date.now(), isOurs ? coveredSigningTime(kept.metadata) : undefined)
  const parts = { signedAtMs, algorithm, hashValue: await file.hash(algorithm) }
  const metadata = signFile(signingKey, fileKey, parts, agentFields(signingKey, parts.signedAtMs))
  await replaceContent(signaturePath, formatMetadata(metadata))
  return metadata
}

/**
 * A relay keeps what was signed later, so each signature has a later time than the one before, also when the clock was set back.
 * @param formerMs of the one before, where there is one that covers its time
 */
export function signingTime(nowMs: number, formerMs: number | undefined): number {
  return formerMs === undefined ? nowMs : Math.max(nowMs, formerMs + 1)
}

function isBy(kept: FileMetadata, signingKey: SigningKey, fileKey: FileKey): boolean {
  try {
    const publicKey = readPublicKey(kept)
    verifyFileSignature(kept, publicKey, fileKey, Buffer.from(kept.hashValue, 'hex'))
    return publicKey.spkiDer.equals(signingKeySpki(signingKey))
  } catch (error) {
    if (error instanceof RelayError) return false
    throw error
  }
}

interface Kept {
  readonly metadata: FileMetadata
  readonly modifiedAtMs: number
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    const { handle, stats } = await openRegularFile(path)
    try {
      if (stats.size > MAX_METADATA_BYTES) return undefined
      return { metadata: parseMetadata(await handle.readFile('utf8')), modifiedAtMs: stats.mtimeMs }
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isMissing(error) || error instanceof RelayError) return undefined
    throw error
  }
}
