import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../values/files/make-folder.js'
import { syncFolder } from '../values/files/sync-folder.js'
import { readIfThere, writeFileAtOnce } from './atomic-files.js'

/** The files in the folder of a relay or node that joined, or of a root. */
export const FILES = {
  ca: 'ca.pem',
  /** The CA's key, at the root alone. */
  caKey: 'ca.key',
  certificate: 'certificate.pem',
  tlsKey: 'tls.key',
  signingKey: 'sign.key',
  policyServer: 'policy-server.pem'
} as const

const SECRET = 0o600

export interface Keys {
  /** EC P-256. */
  readonly tls: KeyObject
  /** Ed25519. */
  readonly signing: KeyObject
}

/** Both keys of a folder; one that is not there is made, so that a join that was cut off can be repeated. */
export async function openKeys(folder: string): Promise<Keys> {
  makeFolder(folder)
  const tls = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const signing = () => generateKeyPairSync('ed25519').privateKey
  const keys = {
    tls: await openKey(join(folder, FILES.tlsKey), tls),
    signing: await openKey(join(folder, FILES.signingKey), signing)
  }
  await syncFolder(folder)
  if (keys.tls.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw wrongKey(folder, FILES.tlsKey, 'EC P-256')
  if (keys.signing.asymmetricKeyType !== 'ed25519') throw wrongKey(folder, FILES.signingKey, 'Ed25519')
  return keys
}

/** SubjectPublicKeyInfo, DER. */
export function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

/** @throws {Error} when the file exists */
export async function writeSecret(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', SECRET)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Writes further files of a folder, by name. Files that have the same content stay. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFileAtOnce(join(folder, name), content)
}

async function openKey(path: string, make: () => KeyObject): Promise<KeyObject> {
  const pem = await readIfThere(path)
  if (pem !== undefined) return createPrivateKey(pem)
  const key = make()
  await writeSecret(path, String(key.export({ type: 'pkcs8', format: 'pem' })))
  return key
}

function wrongKey(folder: string, name: string, expected: string): Error {
  return new Error(`${join(folder, name)} is no ${expected} key: move it away, or choose another folder`)
}
