import { createHash } from 'node:crypto'
import type { TreeMember } from '../../../demo/relay-tree.js'
import { formatMetadata, type HashAlgorithm } from '../../../src/keys/signatures/file-metadata.js'
import { type SigningKey, signFile } from '../../../src/keys/signatures/sign-file.js'

/** A file as it is put: the metadata block, an empty line, the bytes. */
export interface SignedFile {
  readonly path: string
  readonly hash: string
  readonly body: Buffer
  readonly content: Buffer
}

/** Signs `content` with the agent's RSA key of `source`, with all the fields that an existing relay wants. */
export function signContent(
  target: string,
  source: TreeMember,
  fileId: string,
  content: Buffer | string,
  algorithm: HashAlgorithm = 'sha512'
): SignedFile {
  return sign({ kind: 'rsa', key: source.certificate.privateKey }, source, target, fileId, content, algorithm)
}

/** Signs `content` with an Ed25519 key, whose signature covers the time. */
export function signTimed(
  key: SigningKey & { readonly kind: 'ed25519' },
  source: TreeMember,
  target: string,
  fileId: string,
  content: string,
  signedAtMs: number
): SignedFile {
  return sign(key, source, target, fileId, content, 'sha512', signedAtMs)
}

function sign(
  key: SigningKey,
  source: TreeMember,
  target: string,
  fileId: string,
  content: Buffer | string,
  algorithm: HashAlgorithm,
  signedAtMs = Date.now()
): SignedFile {
  const bytes = Buffer.from(content)
  const hash = createHash(algorithm).update(bytes).digest('hex')
  const metadata = signFile(
    key,
    { target, source: source.id, fileId },
    { algorithm, hashValue: hash, signedAtMs },
    { hostname: source.hostname, keydate: '2026-01-01 12:00:00.000000000 +0000', keyid: 'B29D02BB' }
  )
  return {
    path: `/rudder/relay-api/shared-files/${target}/${source.id}/${fileId}`,
    hash,
    body: Buffer.concat([Buffer.from(`${formatMetadata(metadata)}\n`), bytes]),
    content: bytes
  }
}

/** The metadata with another digest: its first digit differs, whatever the signature begins with. */
export function withOtherDigest(metadata: string): string {
  return metadata.replace(/digest=(.)/, (_, digit: string) => `digest=${digit === '0' ? '1' : '0'}`)
}
