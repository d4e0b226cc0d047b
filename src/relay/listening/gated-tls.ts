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

/**
 * All that makes up a context: a renewed one keeps nothing of the former.
 * @param setting the listener, for messages
 */
export function secureContext(config: Config, setting: string) {
  const { httpsCertificateFile, httpsKeyFile } = config.general
  if (httpsCertificateFile === undefined || httpsKeyFile === undefined) {
    throw new Error(`${setting} needs general.https_certificate_file and general.https_key_file`)
  }
  const pair = {
    cert: readConfiguredTextSync('general.https_certificate_file', httpsCertificateFile),
    key: readConfiguredTextSync('general.https_key_file', httpsKeyFile)
  }
  readCertificatePair(pair, {
    cert: `general.https_certificate_file ${httpsCertificateFile}`,
    key: `general.https_key_file ${httpsKeyFile}`
  })
  // Who resumed a session would show no certificate. OpenSSL gives tickets of TLS 1.3 all the same, but of sessions that it
  // should have kept, which Node has it not do.
  return { minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET, ...pair } as const
}
