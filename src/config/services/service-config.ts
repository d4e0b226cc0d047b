import type { Annotations } from '../../values/annotations.js'

/** A `[[service]]`: an HTTP service that this process reaches, and offers to the tree. */
export interface ServiceConfig {
  /** The key under which callers ask for it. */
  readonly key: string
  /** `http`, `jenkins` and the like, or `x-…`. */
  readonly type: string
  /** The base URL. */
  readonly url: string
  readonly annotations: Annotations
  /** Whether the service gets the `Host` that the caller asked for, in place of its own. */
  readonly keepsHost: boolean
  /** The longest wait for the head of an answer, in ms; undefined: none. */
  readonly responseTimeoutMs: number | undefined
  /** Issuers of the certificate of the service; undefined: those that Node trusts. */
  readonly caFile: string | undefined
  /** Whether the certificate of the service is taken as it is. */
  readonly isInsecure: boolean
  /** Undefined: those of the caller pass. */
  readonly credentials: CredentialsConfig | undefined
}

/** A place of a secret. */
export type SecretPlace =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly name: string }
  /** The folder at which a Kubernetes secret is mounted, with a file for each of its keys. */
  | { readonly kind: 'secret'; readonly folder: string }

/** The `[service.credentials]` of a service. */
export type CredentialsConfig =
  | { readonly type: 'bearer' | 'token' | 'basic'; readonly place: SecretPlace }
  | { readonly type: 'header'; readonly place: SecretPlace; readonly header: string }
  | {
      readonly type: 'client_certificate'
      readonly place: SecretPlace
      /** The place of the private key, where it is not that of the certificate. */
      readonly keyPlace: SecretPlace | undefined
    }

/** The files of a mounted secret that each type of credentials reads. */
export const SECRET_KEYS: Readonly<Record<CredentialsConfig['type'], readonly string[]>> = {
  bearer: ['token'],
  token: ['token'],
  basic: ['username', 'password'],
  header: ['value'],
  client_certificate: ['tls.crt', 'tls.key']
}
