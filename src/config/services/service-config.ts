import type { Annotations } from '../../values/annotations.js'
import type { ServiceProtocol } from './service-protocol.js'

/** A `[[service]]`: an HTTP service that this process reaches, and offers to the tree. */
export interface ServiceConfig {
  /** The key under which callers ask for it. */
  readonly key: string
  /** `http`, `jenkins` and the like, or `x-…`. */
  readonly type: string
  /** The base URL; undefined where `cluster` leads to it. */
  readonly url: string | undefined
  /** The way to a cluster of Kubernetes, in place of `url`. */
  readonly cluster: ClusterConfig | undefined
  /** The version of HTTP that the service speaks. */
  readonly protocol: ServiceProtocol
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
  /** The service of AWS for which requests are signed, of the type `aws`. */
  readonly aws: AwsScope | undefined
  /** Whether the service is told the name of this node, as birger's services are. */
  readonly isOpsmx: boolean
}

/** The way to a cluster, with its own trust and credentials. */
export type ClusterConfig =
  | { readonly kind: 'service-account'; readonly folder: string }
  /** @param context undefined: the current one */
  | { readonly kind: 'kubeconfig'; readonly file: string; readonly context: string | undefined }

/** A service of AWS. */
export interface AwsScope {
  /** Such as `eu-central-1`. */
  readonly region: string
  /** The signing name, such as `s3` or `dynamodb`. */
  readonly service: string
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
  | AwsCredentialsConfig

/** The keys with which requests for AWS are signed. The name of an environment variable is the beginning of its names. */
export interface AwsCredentialsConfig {
  readonly type: 'aws'
  readonly place: SecretPlace
  /** The profile in the file. */
  readonly profile: string
}

/** The ends of the names of environment variables: for the id, the secret key, and the session's token. */
export const AWS_ENVIRONMENT = ['_ACCESS_KEY_ID', '_SECRET_ACCESS_KEY', '_SESSION_TOKEN'] as const

/** The files of a mounted secret that each type of credentials reads. */
export const SECRET_KEYS: Readonly<Record<CredentialsConfig['type'], readonly string[]>> = {
  bearer: ['token'],
  token: ['token'],
  basic: ['username', 'password'],
  header: ['value'],
  client_certificate: ['tls.crt', 'tls.key'],
  aws: ['awsAccessKey', 'awsSecretAccessKey']
}

/** The file of a mounted secret with the session's token, of temporary keys of AWS. */
export const AWS_SESSION_KEY = 'awsSessionToken'
