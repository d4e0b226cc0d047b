import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const makePair = promisify(generateKeyPair)

/** Big enough to be real, small enough to be made in a moment. Agents have 4096. */
export const RSA_MODULUS_BITS = 2_048

export type KeyKind = 'rsa' | 'ec' | 'ed25519'

/** A key pair, in all the forms that the relay API and its tools speak of. */
export interface KeyMaterial {
  readonly privateKey: KeyObject
  /** PKCS#8. */
  readonly privateKeyPem: string
  /** SubjectPublicKeyInfo, DER: what a key hash is made of. */
  readonly publicKeySpki: Buffer
  /** PKCS#1 `RSAPublicKey`, DER, base64: `short_pubkey` of a shared file. Undefined for keys that are not RSA. */
  readonly publicKeyPkcs1Base64: string | undefined
  /** `sha256:<hex>`, one of the two forms of the nodes list. */
  readonly keyHash: string
}

/** Makes a key pair. RSA takes about a tenth of a second, EC (P-256) and Ed25519 nothing worth mentioning. */
export async function makeKey(kind: KeyKind): Promise<KeyMaterial> {
  return describeKey(await generatePrivateKey(kind))
}

/** All forms of a private key that is there already. */
export function readKey(privateKeyPem: string, passphrase?: string): KeyMaterial {
  return describeKey(
    createPrivateKey({ key: privateKeyPem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) })
  )
}

/** The form in which existing agents keep their key: the traditional PEM form (PKCS#1), encrypted. RSA only. */
export function encryptedPkcs1Pem(key: KeyMaterial, passphrase: string): string {
  return key.privateKey.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString()
}

/** The folder in which RSA keys are kept for other processes. Set by `npm test`: making them took a tenth of its time. */
const KEPT_KEYS = process.env.TREELINE_TEST_KEYS
let keysTaken = 0

async function generatePrivateKey(kind: KeyKind): Promise<KeyObject> {
  switch (kind) {
    case 'rsa':
      return KEPT_KEYS === undefined ? generateRsaKey() : takeRsaKey(KEPT_KEYS, keysTaken++)
    case 'ec':
      return (await makePair('ec', { namedCurve: 'P-256' })).privateKey
    case 'ed25519':
      return (await makePair('ed25519')).privateKey
  }
}

async function generateRsaKey(): Promise<KeyObject> {
  return (await makePair('rsa', { modulusLength: RSA_MODULUS_BITS })).privateKey
}

/** One process gets a key only once; each process gets the same ones, in this order. */
async function takeRsaKey(folder: string, index: number): Promise<KeyObject> {
  const path = join(folder, `rsa-${index}.pem`)
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  if (kept !== undefined) return createPrivateKey(kept)
  const key = await generateRsaKey()
  const unfinished = `${path}.${process.pid}`
  await mkdir(folder, { recursive: true })
  await writeFile(unfinished, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await rename(unfinished, path)
  return key
}

function describeKey(privateKey: KeyObject): KeyMaterial {
  const publicKey = createPublicKey(privateKey)
  const publicKeySpki = publicKey.export({ type: 'spki', format: 'der' })
  return {
    privateKey,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKeySpki,
    publicKeyPkcs1Base64:
      privateKey.asymmetricKeyType === 'rsa'
        ? publicKey.export({ type: 'pkcs1', format: 'der' }).toString('base64')
        : undefined,
    keyHash: `sha256:${createHash('sha256').update(publicKeySpki).digest('hex')}`
  }
}
