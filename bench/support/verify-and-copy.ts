import { rm } from 'node:fs/promises'
import { run } from './child.js'
import { secondsOf } from './rounds.js'
import type { SignedFile } from './sign.js'

/** The reference for a PUT: openssl checks the signature, cp copies, and the copy is put on disk. @returns seconds */
export async function secondsToVerifyAndCopy(signed: SignedFile, target: string): Promise<number> {
  await rm(target, { force: true })
  const verify = ['dgst', '-sha512', '-verify', signed.publicKeyFile, '-signature', signed.signatureFile, signed.file]
  const seconds = await secondsOf(async () => {
    await run('openssl', verify)
    await run('cp', [signed.file, target])
    await run('sync', [target])
  })
  await rm(target, { force: true })
  return seconds
}
