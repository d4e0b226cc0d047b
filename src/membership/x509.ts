import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto'

type Library = typeof import('./x509-library.js')

/** The library that makes certificates. Loaded when it is first needed: most relays never issue or ask for one. */
export function x509(): Promise<Library> {
  return import('./x509-library.js')
}

/** EC P-256 with SHA-256: what the CA and all its certificates use. */
export const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const
const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const

/** `userId`: the attribute of the subject that holds the node id (contract, "The nodes list"). */
export const USER_ID_OID = '0.9.2342.19200300.100.1.1'

/** A private key in the form that the library signs with. @param key EC P-256 */
export async function toWebKeys(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, KEY, false, ['sign']),
    publicKey: await toWebPublicKey(spki)
  }
}

/** @param spki of a key on EC P-256, DER */
export function toWebPublicKey(spki: Buffer): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('spki', spki, KEY, true, ['verify'])
}
