import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { canonicalHost, HOST_NAME_RULE, isOfNoHost } from '../../../network/host-name.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { ROOT_ID } from '../../../values/ids.js'
import type { MemberKind } from '../../members.js'
import type { MemberRepository } from '../member-repository.js'

/**
 * A host name in its one form, so that it is compared with the names of others whatever way it was spelt.
 * @throws {RelayError} INVALID_INPUT
 */
export function readHostname(text: string): string {
  const hostname = canonicalHost(text)
  if (hostname !== undefined && !isOfNoHost(hostname)) return hostname
  const shown = JSON.stringify(text.slice(0, 80))
  const rule = hostname === undefined ? HOST_NAME_RULE : 'an address at which this machine can be reached'
  throw new RelayError('INVALID_INPUT', `invalid hostname: ${shown}; expected ${rule}`)
}

interface Named {
  readonly id: string
  readonly kind: MemberKind
  readonly hostname: string
  readonly nowMs: number
}

/**
 * The name of a relay, the root among them, belongs to it alone: whose certificate is good for a name may be taken for
 * whoever is reached by it, and what is meant for the relay would be run for a node of its name. Names of nodes keep
 * nobody away: a token for nodes would be enough to lock a relay out.
 * @throws {RelayError} CONFLICT
 */
export async function checkHostnameFree(
  repository: MemberRepository,
  { id, kind, hostname, nowMs }: Named
): Promise<void> {
  // Whatever happened since, a node that joins again has this name already.
  if (kind === 'node' && (await repository.member(id))?.hostname === hostname) return
  const relay = await repository.relayByHostname(hostname, id)
  const namesake = relay?.id ?? ((await isRootCalled(repository, hostname, nowMs)) ? ROOT_ID : undefined)
  if (namesake === undefined) return
  const owner = namesake === ROOT_ID ? 'the root' : namesake
  const remedy =
    kind === 'relay' ? 'a relay needs one of its own' : 'join with another --host; a relay runs its own machine'
  throw new RelayError('CONFLICT', `the host name ${hostname} is that of ${owner}; ${remedy}`)
}

/** The root may have several names. */
async function isRootCalled(repository: MemberRepository, hostname: string, nowMs: number): Promise<boolean> {
  const certificates = await repository.certificatesOf(ROOT_ID, nowMs)
  return certificates.some(({ der }) => {
    const certificate = new X509Certificate(der)
    return (isIP(hostname) === 0 ? certificate.checkHost(hostname) : certificate.checkIP(hostname)) !== undefined
  })
}
