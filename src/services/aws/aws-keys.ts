/** A key pair of AWS. */
export interface AwsCredentials {
  readonly accessKeyId: string
  /** A secret. */
  readonly secretAccessKey: string
  /** A secret, of temporary credentials. */
  readonly sessionToken?: string | undefined
}

/** The key pair with which this process signs, as it is now. */
export interface AwsKeys {
  /** @throws {CredentialsError} (or rejects with it) while there is none */
  current(): AwsCredentials | Promise<AwsCredentials>
  /** Called when AWS has refused a signature: looks at once whether there are other keys. */
  refused(): void
  /** Stops looking for changes. */
  close(): void
}
