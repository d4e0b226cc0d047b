import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'

const run = promisify(execFile)

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
    /** Of the certificate that the other side presented, if it did. */
    fingerprintOf(socket: Socket): string | undefined {
      return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.fingerprint256 : undefined
    }
  }
}
