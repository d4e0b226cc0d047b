import type { ConnectionOptions } from 'node:tls'
import { readEveryCertificate } from '../../keys/certificates/certificate-pair.js'
import { type EdgeCredentials, type HeadChange, NO_CHANGE, type OutgoingHead } from './edge-credentials.js'
import { readServiceFile } from './secret-text.js'
import { type SecretOwner, WatchedSecret } from './watched-secret.js'

const NONE: ConnectionOptions = {}

/** The issuers that a service's certificate must have, and the credentials for that service. */
export class TrustedService implements EdgeCredentials {
  #parts: readonly ConnectionOptions[] = []
  #joined: ConnectionOptions = {}

  private constructor(
    private readonly trust: WatchedSecret<ConnectionOptions>,
    private readonly credentials: EdgeCredentials | undefined
  ) {}

  /** Does not reject: while the file cannot be used, requests are refused. */
  static async open(
    caFile: string,
    credentials: EdgeCredentials | undefined,
    owner: SecretOwner
  ): Promise<TrustedService> {
    const trust = await WatchedSecret.open<ConnectionOptions>({
      ...owner,
      name: 'ca_file',
      files: [caFile],
      read: async () => {
        const ca = await readServiceFile('ca_file', caFile)
        readEveryCertificate(ca, `ca_file ${caFile}`)
        return { ca, allowPartialTrustChain: true } // a certificate of its own may stand for itself
      }
    })
    return new TrustedService(trust, credentials)
  }

  changeFor(head: OutgoingHead): HeadChange | Promise<HeadChange> {
    void this.trust.value // or the system's issuers would be trusted
    return this.credentials?.changeFor(head) ?? NO_CHANGE
  }

  tls(): ConnectionOptions {
    const parts = [this.trust.value, this.credentials?.tls() ?? NONE]
    if (parts.some((part, index) => part !== this.#parts[index])) {
      this.#parts = parts
      this.#joined = Object.assign({}, ...parts)
    }
    return this.#joined
  }

  refused(change: HeadChange): boolean | Promise<boolean> {
    return this.credentials?.refused(change) ?? false
  }

  close(): void {
    this.trust.close()
    this.credentials?.close()
  }
}
