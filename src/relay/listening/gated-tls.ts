import { constants } from 'node:crypto'
import type { Server } from 'node:net'
import type { TLSSocket, Server as TlsServer } from 'node:tls'
import type { Config } from '../../config/config.js'
import { readConfiguredTextSync } from '../../file-system/files/text-file.js'
import { readCertificatePair } from '../../keys/certificates/certificate-pair.js'
import { sourceOf } from '../../network/sources/source-address.js'
import { type NeighbourFacts, neighbourOn } from '../../tree/known-certificates.js'
import type { LogLimit } from '../../values/logging/log-limit.js'
import { createHandshakeGate } from './handshakes/handshake-gate.js'
import { judgeCertificate } from './handshakes/presented-certificate.js'

const SLOWED =
  'TLS handshakes of this source are slowed: a caller shows certificates that are costly to verify; it is to show its own one alone'

/** The suites of TLS 1.3, and those of TLS 1.2 that encrypt and authenticate in one, with keys of each session (RFC 9325, 4.2). */
const SERVICE_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305'
].join(':')

/** Logs that connections of a source were closed. @param of the thing that there were too many of */
export function logClosed(limited: LogLimit, source: string, of: string): void {
  limited.warn(source, { source }, `connections closed: too many ${of}`)
}

/** Creates the server that takes the connections of a TLS server, and lets their handshakes begin in turn. */
export function createGate(
  tls: TlsServer,
  { limits }: Config,
  { certificates, topology }: NeighbourFacts,
  limited: LogLimit
): Server {
  const logSlowed = (connection: TLSSocket, shown: string) => {
    const neighbour = neighbourOn(connection, { certificates, topology })
    const source = sourceOf(connection.remoteAddress ?? '')
    const caller = neighbour?.kind === 'policy-server' ? 'the policy server' : neighbour?.id
    limited.warn(caller ?? source, { source, caller, shown }, SLOWED)
  }
  return createHandshakeGate(tls, {
    helloLimitMs: limits.headersTimeoutMs,
    judge: connection => judgeCertificate(connection, shown => logSlowed(connection, shown)),
    onIdle: source => logClosed(limited, source, 'TLS records that bring nothing on, such as renewed keys')
  })
}

/** The files of a certificate and its key, by the settings that name them. */
export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
  readonly certificateSetting: string
  readonly keySetting: string
}

/** The relay's own. @param setting the listener that needs them, for messages @throws {Error} where there are none */
export function ownCertificateFiles({ general }: Pick<Config, 'general'>, setting: string): CertificateFiles {
  const { httpsCertificateFile: certificate, httpsKeyFile: key } = general
  const [certificateSetting, keySetting] = ['general.https_certificate_file', 'general.https_key_file']
  if (certificate === undefined || key === undefined) {
    throw new Error(`${setting} needs ${certificateSetting} and ${keySetting}`)
  }
  return { certificate, key, certificateSetting, keySetting }
}

/**
 * All that makes up a context: a renewed one keeps nothing of the former.
 * @param setting the listener, for messages
 */
export function secureContext(config: Config, setting: string) {
  // Who resumed a session would show no certificate. OpenSSL gives tickets of TLS 1.3 all the same, but of sessions that it
  // should have kept, which Node has it not do.
  const pair = readPair(ownCertificateFiles(config, setting))
  return { minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET, ...pair } as const
}

/**
 * The same for callers of services, which may have TLS 1.2: with keys of their own for each session, and without a way to
 * have a handshake made again and again over one connection.
 */
export function serviceContext(files: CertificateFiles) {
  const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION
  return { minVersion: 'TLSv1.2', ciphers: SERVICE_CIPHERS, secureOptions, ...readPair(files) } as const
}

function readPair({ certificate, key, certificateSetting, keySetting }: CertificateFiles) {
  const pair = {
    cert: readConfiguredTextSync(certificateSetting, certificate),
    key: readConfiguredTextSync(keySetting, key)
  }
  readCertificatePair(pair, { cert: `${certificateSetting} ${certificate}`, key: `${keySetting} ${key}` })
  return pair
}
