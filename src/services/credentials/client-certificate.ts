import type { ConnectionOptions } from 'node:tls'
import { type CredentialsConfig, SECRET_KEYS } from '../../config/services/service-config.js'
import { readCertificatePair } from '../../keys/certificates/certificate-pair.js'
import { type EdgeCredentials, type HeadChange, NO_CHANGE } from './edge-credentials.js'
import { filesOfPlace, readPlace, settingOf } from './secret-text.js'
import { type SecretOwner, WatchedSecret } from './watched-secret.js'

type CertificateConfig = Extract<CredentialsConfig, { readonly type: 'client_certificate' }>

/** PEM. */
interface Pair {
  readonly cert: string
  readonly key: string
}

/** A client certificate that is shown to the service in TLS. A certificate whose key is not there yet waits for it. */
export class EdgeCertificate implements EdgeCredentials {
  private constructor(private readonly pair: WatchedSecret<Pair>) {}

  /** Does not reject: while there is no pair, requests are refused. */
  static async open({ place, keyPlace }: CertificateConfig, owner: SecretOwner): Promise<EdgeCertificate> {
    const keys = SECRET_KEYS.client_certificate
    const pair = await WatchedSecret.open<Pair>({
      ...owner,
      name: settingOf(place),
      files: [...filesOfPlace(place, keys), ...(keyPlace === undefined ? [] : filesOfPlace(keyPlace, keys))],
      read: async () => {
        const [cert = '', beside = cert] = await readPlace(place, keys) // or both are in one text
        const [key = ''] = keyPlace === undefined ? [beside] : await readPlace(keyPlace, keys)
        const setting = settingOf(place)
        readCertificatePair({ cert, key }, { cert: `${setting}: the certificate`, key: `${setting}: the private key` })
        return { cert, key }
      }
    })
    return new EdgeCertificate(pair)
  }

  changeFor(): HeadChange {
    void this.pair.value // or the service would be asked without it
    return NO_CHANGE
  }

  tls(): ConnectionOptions {
    return this.pair.value
  }

  async refused(): Promise<boolean> {
    const former = this.pair.value
    await this.pair.lookSoon()
    return this.pair.value !== former
  }

  close(): void {
    this.pair.close()
  }
}
