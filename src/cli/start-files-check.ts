import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config.js'
import { whyUnreadable } from './named-file.js'

/** @returns which files, of those that a relay does not start without, cannot be read, each by its setting */
export async function checkStartFiles({ general, upstream, tokens }: Config): Promise<string[]> {
  const isValidating = general.peerAuthentication === 'cert_validation'
  const files: readonly (readonly [key: string, path: string | undefined])[] = [
    ['general.https_certificate_file', general.httpsCertificateFile],
    ['general.https_key_file', general.httpsKeyFile],
    ['general.ca_path', isValidating ? general.caPath : undefined],
    ['output.upstream.server_certificate_file', upstream?.serverCertificateFile],
    ['tokens.admin_file', tokens.adminFile],
    ['tokens.clients_file', tokens.clientsFile]
  ]
  const problems = await Promise.all(
    files.map(([key, path]) => (path === undefined ? undefined : problemOf(key, path)))
  )
  return problems.filter(problem => problem !== undefined)
}

async function problemOf(key: string, path: string): Promise<string | undefined> {
  try {
    await readFile(path)
    return undefined
  } catch (error) {
    return whyUnreadable(key, path, error)
  }
}
