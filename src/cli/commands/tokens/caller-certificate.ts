import { generateKeyPairSync } from 'node:crypto'
import { writeNewFile } from '../../../file-system/files/write-new-file.js'
import { MAX_SIGNED_LIFETIME_MS } from '../../../keys/tokens/signed-token.js'
import { formatTokenScope } from '../../../keys/tokens/token-scope.js'
import { FORM } from '../../../network/header-names.js'
import { asObject } from '../../../relay-client/json-answer.js'
import { errorCode, errorMessage } from '../../../values/failures/system-error.js'
import { CommandError, UsageError } from '../../command-error.js'
import { type ServerOptions, withClient } from '../../options/connection-options.js'
import { readDuration } from '../../options/time-option.js'
import { cell, printJson, showTime } from '../../output/table.js'
import { readScope } from './scoped-token.js'

const SECRET = 0o600
const PUBLIC = 0o644

export interface CallerCertificateOptions extends ServerOptions {
  readonly scope: readonly string[]
  readonly ttl: string
  /** The name of both files, without `.pem` and `.key`. */
  readonly certificate: string
  readonly json?: boolean
}

/** Has the root issue a certificate to call services with. The private key is made here, and leaves this machine never. */
export async function createCallerCertificate(options: CallerCertificateOptions): Promise<void> {
  const { certificate: name, json, ttl } = options
  const scopes = [...new Set(options.scope)].map(readScope)
  const other = scopes.find(({ kind }) => kind !== 'call')
  if (other !== undefined) {
    throw new UsageError(`--scope ${formatTokenScope(other)}: a certificate is for call:<key> alone`)
  }
  const lifetimeMs = readDuration('--ttl', ttl, 1_000, MAX_SIGNED_LIFETIME_MS)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const form = new URLSearchParams({
    scope: scopes.map(formatTokenScope).join(' '),
    expires_in_ms: String(lifetimeMs),
    public_key: publicKey.export({ type: 'spki', format: 'der' }).toString('base64url')
  })
  const [certificateFile, keyFile] = [`${name}.pem`, `${name}.key`]
  await write(keyFile, String(privateKey.export({ type: 'pkcs8', format: 'pem' })), SECRET)
  await withClient(options, async client => {
    const path = 'v1/caller-certificates'
    const headers = { 'content-type': FORM }
    const made = asObject(await client.json({ method: 'POST', path, headers, body: form.toString() }), 'a certificate')
    await write(certificateFile, cell(made.certificate), PUBLIC)
    if (json === true) return printJson({ ...made, certificate_file: certificateFile, key_file: keyFile })
    console.log(`${certificateFile} and ${keyFile}: until ${showTime(made.expires_at)}`)
    console.error(`to end it earlier, at the root: treeline token revoke ${cell(made.id)}`)
  })
}

async function write(file: string, content: string, mode: number): Promise<void> {
  await writeNewFile(file, content, mode).catch((error: unknown) => {
    const why = errorCode(error) === 'EEXIST' ? `${file} is there already` : errorMessage(error)
    throw new CommandError(why)
  })
}
