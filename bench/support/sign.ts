import { createHash, createSign, generateKeyPairSync, type KeyObject, randomFillSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'

/** The length of the keys of existing agents. */
const MODULUS_BITS = 4_096
const BLOCK_BYTES = 1024 * 1024

/** An agent that signs. */
export interface Signer {
  readonly privateKey: KeyObject
  readonly publicKeyPem: string
  /** The form that it has in a nodes list. */
  readonly keyHash: string
  readonly shortPublicKey: string
}

export function makeSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: MODULUS_BITS })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return {
    privateKey,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyHash: `sha256:${createHash('sha256').update(spki).digest('hex')}`,
    shortPublicKey: publicKey.export({ type: 'pkcs1', format: 'der' }).toString('base64')
  }
}

/** A file, signed: what goes over the wire, and what openssl is given to check the same. */
export interface SignedFile {
  readonly file: string
  /** The body of a PUT: metadata, an empty line, the file's bytes. */
  readonly bodyFile: string
  readonly signatureFile: string
  readonly publicKeyFile: string
  /** SHA-512, hex. */
  readonly hash: string
}

/** Writes a file of so many bytes (no two blocks alike) at `file`, and beside it what {@link SignedFile} names. */
export async function makeSignedFile(file: string, sizeBytes: number, signer: Signer): Promise<SignedFile> {
  await writeContent(file, sizeBytes)
  const hash = createHash('sha512')
  const sign = createSign('sha512')
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    sign.update(chunk)
  }
  const signature = sign.sign(signer.privateKey)
  const signed: SignedFile = {
    file,
    bodyFile: `${file}.body`,
    signatureFile: `${file}.signature`,
    publicKeyFile: `${file}.pub`,
    hash: hash.digest('hex')
  }
  await writeFile(signed.signatureFile, signature)
  await writeFile(signed.publicKeyFile, signer.publicKeyPem)
  await writeFile(signed.bodyFile, metadataBlock(signer, signature.toString('hex'), signed.hash))
  await writeFile(signed.bodyFile, createReadStream(file), { flag: 'a' })
  return signed
}

async function writeContent(file: string, sizeBytes: number): Promise<void> {
  const block = randomFillSync(Buffer.alloc(BLOCK_BYTES))
  const handle = await open(file, 'w')
  try {
    for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) {
      block.writeDoubleLE(at, 0)
      await handle.write(block, 0, Math.min(BLOCK_BYTES, sizeBytes - at))
    }
  } finally {
    await handle.close()
  }
}

function metadataBlock(signer: Signer, digest: string, hash: string): string {
  const lines = [
    'header=rudder-signature-v1',
    'algorithm=sha512',
    `digest=${digest}`,
    `hash_value=${hash}`,
    `short_pubkey=${signer.shortPublicKey}`,
    'hostname=source.example.com',
    'keydate=2026-01-31 18:21:43.653257143 +0100',
    'keyid=B29D02BB'
  ]
  return `${lines.join('\n')}\n\n`
}
