import { isIPv6 } from 'node:net'
import { purposeOf } from '../../keys/certificates/certificate-purpose.js'
import { httpProxyFor } from '../../network/http-proxy.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { NoConnection } from '../direct-hop.js'
import { POLICY_SERVER } from '../hop.js'
import type { NeighboursConfig, PeerFiles } from './peer-files.js'
import type { PeerTarget } from './peer-pools.js'
import type { PeerTrust } from './peer-trust.js'

export interface PeerTargetsOptions {
  readonly topology: CurrentTopology
  /** Certificates that are listed for a node, as DER. @throws {Error} when they cannot be read now */
  readonly certificatesOf: (id: string) => readonly Buffer[]
  /** The configuration and files in force. */
  readonly current: () => { readonly config: NeighboursConfig; readonly files: PeerFiles }
}

/**
 * The address of each neighbour and the certificates by which it is believed, as the configuration and the tree say
 * at that moment.
 */
export interface PeerTargets {
  below(id: string): PeerTarget | NoConnection
  above(): PeerTarget | NoConnection
  /** Whether a node has a certificate of this tree's CA, for what it joined as, if that is asked. */
  hasJoined(id: string, as?: 'relay' | 'node'): boolean
}

export function createPeerTargets({ topology, certificatesOf, current }: PeerTargetsOptions): PeerTargets {
  function targetBelow(id: string): PeerTarget | NoConnection {
    const node = topology().find(id)
    if (node === undefined) return { unreachable: `${id}: no longer in the nodes list` }
    const { config, files } = current()
    const { nodesCertsFile, httpsPort } = config.general
    const address = config.neighbours.addresses.get(id) ?? { host: node.hostname, port: httpsPort }
    let known: readonly Buffer[]
    try {
      known = certificatesOf(id)
    } catch (error) {
      return { unreachable: `${id}: its certificates cannot be read now: ${String(error)}` }
    }
    const trust = trustIn(config, files, node, known, nodesCertsFile)
    if (trust.mode === 'cert_pinning' && trust.pins.length === 0) {
      return { unreachable: `${id}: no certificate of it is known, see ${nodesCertsFile} (general.nodes_certs_file)` }
    }
    return { ...address, trust }
  }

  function hasJoined(id: string, as?: 'relay' | 'node'): boolean {
    try {
      return certificatesOf(id).some(certificate => {
        const purpose = purposeOf(certificate)
        return as === undefined ? purpose !== undefined : purpose === as
      })
    } catch {
      return false // they cannot be read now
    }
  }

  function targetAbove(): PeerTarget | NoConnection {
    const { config, files } = current()
    const { upstream } = config
    if (upstream === undefined) return { unreachable: `${POLICY_SERVER}: output.upstream.host is not set` }
    const trust = policyServerTrust({ ...config, upstream }, files)
    if (files.upstreamProblem !== undefined) return { unreachable: `${POLICY_SERVER}: ${files.upstreamProblem}` }
    const { host, port } = upstream
    try {
      return { host, port, trust, proxy: httpProxyFor(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`)?.href }
    } catch (error) {
      return { unreachable: `${POLICY_SERVER}: ${errorMessage(error)}` }
    }
  }

  return { below: targetBelow, above: targetAbove, hasJoined }
}

/** The proof that the policy server must present, over links as well as in requests. */
export function policyServerTrust(
  config: NeighboursConfig & { readonly upstream: NonNullable<NeighboursConfig['upstream']> },
  files: Pick<PeerFiles, 'ca' | 'upstreamPins'>
): PeerTrust {
  const { host, nodeId, serverCertificateFile } = config.upstream
  const pinsFile = serverCertificateFile ?? 'output.upstream.server_certificate_file'
  return trustIn(config, files, { hostname: host, id: nodeId }, files.upstreamPins, pinsFile)
}

function trustIn(
  { general }: NeighboursConfig,
  files: Pick<PeerFiles, 'ca'>,
  { hostname, id: nodeId }: { readonly hostname: string; readonly id: string | undefined },
  pins: readonly Buffer[],
  pinsFile: string
): PeerTrust {
  switch (general.peerAuthentication) {
    case 'cert_pinning':
      return { mode: 'cert_pinning', pins, pinsFile }
    case 'cert_validation':
      return { mode: 'cert_validation', ca: files.ca, hostname, nodeId }
    case 'dangerous_none':
      return { mode: 'dangerous_none' }
  }
}
