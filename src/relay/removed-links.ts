import { X509Certificate } from 'node:crypto'
import { fingerprint } from '../keys/certificates/fingerprint.js'
import { keyHashOfCertificate } from '../keys/signatures/key-hash.js'
import type { LinkRegistry } from '../links/upper/link-registry.js'
import type { LinkOwner } from '../links/upper/upper-link.js'
import { CLOSE } from '../links/wire/protocol.js'
import type { KnownCertificates } from '../tree/known-certificates.js'
import type { Topology } from '../tree/topology.js'
import { isoTime } from '../values/time/iso-time.js'

export interface RemovedLinksOptions {
  readonly registry: LinkRegistry
  readonly certificates: KnownCertificates
  readonly topology: () => Topology
  /** Whether certificates may be replaced by others of the same key, as they are when they are renewed. */
  readonly areRenewed: boolean
}

interface Shown {
  readonly fingerprint: string
  /** The SHA-256 of the public key, and the end of the certificate, where certificates are renewed. */
  readonly renewed: { readonly key: Buffer; readonly endMs: number } | undefined
}

/** Closes the links of those that are no longer managed here, or whose certificate is no longer theirs. */
export class RemovedLinks {
  readonly #shown = new WeakMap<LinkOwner, Shown>()

  constructor(private readonly options: RemovedLinksOptions) {}

  /** Notes each owner of a link as it is admitted. @param certificate DER */
  note(owner: LinkOwner, certificate: Buffer): void {
    const renewed = this.options.areRenewed ? keyAndEnd(certificate) : undefined
    this.#shown.set(owner, { fingerprint: fingerprint(certificate), renewed })
  }

  /** Closes such links. Called when the tree, or the certificates, have changed. */
  close(): void {
    const { registry, topology } = this.options
    const tree = topology()
    for (const link of registry.all()) {
      const { owner } = link
      const shown = this.#shown.get(owner)
      if (shown === undefined) continue // a client
      if (tree.route(owner.id).kind !== 'here') link.close(CLOSE.removed, `not managed by ${tree.selfId} any more`)
      else if (!this.#isTheirs(owner.id, shown)) link.close(CLOSE.removed, whyNotTheirs(shown))
    }
  }

  #isTheirs(id: string, shown: Shown): boolean {
    const { certificates } = this.options
    if (certificates.nodeOf(shown.fingerprint) === id) return true
    const { renewed } = shown
    return renewed !== undefined && certificates.of(id).some(other => keyAndEnd(other).key.equals(renewed.key))
  }
}

/**
 * The reason why a certificate is not theirs any more: those that end are taken out of the tree as removed ones are.
 */
function whyNotTheirs({ renewed }: Shown): string {
  if (renewed === undefined || renewed.endMs > Date.now()) return 'its certificate was removed'
  return `its certificate ended at ${isoTime(renewed.endMs)}, by the clock here`
}

function keyAndEnd(certificate: Buffer): { readonly key: Buffer; readonly endMs: number } {
  return { key: keyHashOfCertificate(certificate), endMs: Date.parse(new X509Certificate(certificate).validTo) }
}
