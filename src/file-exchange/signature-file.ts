import { RelayError } from '../values/failures/relay-error.js'
import { errorCode } from '../values/failures/system-error.js'
import type { FileKey } from '../values/ids.js'
import { type FileMetadata, formatMetadata, type HashAlgorithm, parseMetadata } from '../values/keys/file-metadata.js'
import { readPublicKey, verifyFileSignature } from '../values/keys/file-signature.js'
import { type SigningKey, signFile, signingKeySpki } from '../values/keys/file-signing.js'
import { agentFields } from './agent-fields.js'
import { putInPlace } from './atomic-write.js'
import { openRegularFile } from './places/regular-file.js'
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
  const kept = await readKept(signaturePath, file.modifiedAtMs)
  if (kept?.algorithm === algorithm && isBy(kept, signingKey, fileKey)) return kept
  const parts = { signedAtMs: Date.now(), algorithm, hashValue: await file.hash(algorithm) }
  const metadata = signFile(signingKey, fileKey, parts, agentFields(signingKey, parts.signedAtMs))
  await (await putInPlace(signaturePath, formatMetadata(metadata))).keep()
  return metadata
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

async function readKept(path: string, fileModifiedAtMs: number): Promise<FileMetadata | undefined> {
  try {
    const { handle, stats } = await openRegularFile(path)
    try {
      const isNewer = stats.mtimeMs > fileModifiedAtMs && Math.floor(stats.mtimeMs) <= Date.now() // else the clock was set back since it was made
      return isNewer ? parseMetadata(await handle.readFile('utf8')) : undefined
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof RelayError) return undefined
    throw error
  }
}
