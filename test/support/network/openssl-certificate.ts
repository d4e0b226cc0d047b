import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * The key of a certificate at the end of a chain, and the chain in PEM, the certificate first. All have the same key.
 * @param folder for the files of openssl
 * @param more a line of extensions for all but the last
 */
export async function makeChain(folder: string, length: number, more = ''): Promise<{ cert: string; key: string }> {
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'key')
  await openssl('req', '-x509', '-new', '-key', 'key', '-subj', '/CN=0', '-days', '2', '-out', '0')
  await writeFile(join(folder, 'extensions'), `basicConstraints = CA:TRUE\n${more}\n`)
  const chain = [await readFile(join(folder, '0'), 'utf8')]
  for (let index = 1; index < length; index += 1) {
    const by = ['-CA', String(index - 1), '-CAkey', 'key', '-CAcreateserial', '-extfile', 'extensions']
    await openssl('req', '-new', '-key', 'key', '-subj', `/CN=${index}`, '-out', 'request')
    await openssl('x509', '-req', '-in', 'request', ...by, '-days', '2', '-out', String(index))
    chain.unshift(await readFile(join(folder, String(index)), 'utf8'))
  }
  return { cert: chain.join(''), key: await readFile(join(folder, 'key'), 'utf8') }
}

/** A self-signed certificate for localhost, made by openssl as agents do. @param path of the files, without suffix */
export async function makeCertificate(path: string, curve = 'prime256v1') {
  const [certFile, keyFile] = [`${path}.cert`, `${path}.key`]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const key = ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`, '-nodes', '-keyout', keyFile]
  await run('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '2', ...subject])
  const cert = await readFile(certFile, 'utf8')
  return {
    certFile,
    keyFile,
    cert,
    key: await readFile(keyFile, 'utf8'),
    fingerprint: new X509Certificate(cert).fingerprint256,
    /** SHA-256 of the certificate that the other side presented, if it did. */
    fingerprintOf(socket: Socket): string | undefined {
      return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.fingerprint256 : undefined
    }
  }
}
