import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { writeNewFile } from '../../file-system/files/write-new-file.js'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { readIfThere, writeAtomically } from './edit-files.js'

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
  if (keys.tls.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw wrongKey(folder, FILES.tlsKey, 'EC P-256')
  if (keys.signing.asymmetricKeyType !== 'ed25519') throw wrongKey(folder, FILES.signingKey, 'Ed25519')
  return keys
}

/** SubjectPublicKeyInfo, DER. */
export function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

/** @throws {Error} when the file exists, or cannot be written: then there is none */
export function writeSecret(path: string, content: string): Promise<void> {
  return writeNewFile(path, content, SECRET)
}

/** Writes further files of a folder, by name. Files that have the same content stay. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    await writeAtomically(path, content).catch((cause: unknown) => {
      throw new Error(`${path} cannot be written: ${errorMessage(cause)}`, { cause })
    })
  }
}

async function openKey(path: string, make: () => KeyObject): Promise<KeyObject> {
  const pem = await readIfThere(path)
  if (pem !== undefined) return readKey(path, pem)
  const key = make()
  await writeSecret(path, String(key.export({ type: 'pkcs8', format: 'pem' })))
  return key
}

function readKey(path: string, pem: string): KeyObject {
  if (pem.trim() === '') {
    throw new Error(`${path} is empty: the command that made it was interrupted. Remove it, and run this again`)
  }
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new Error(`${path} is no private key in PEM: move it away, or choose another folder`, { cause })
  }
}

function wrongKey(folder: string, name: string, expected: string): Error {
  return new Error(`${join(folder, name)} is no ${expected} key: move it away, or choose another folder`)
}
