import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { type SigningKey, signingKeySpki } from '../keys/signatures/sign-file.js'

/** The fields that an existing relay requires beside the signature (contract, "The PUT body"). */
export function agentFields(signingKey: SigningKey, signedAtMs: number): Record<string, string> {
  const keydate = new Date(signedAtMs).toISOString().replace('T', ' ').replace('Z', ' +0000')
  const keyid = createHash('sha256').update(signingKeySpki(signingKey)).digest('hex').slice(0, 8).toUpperCase()
  return { hostname: hostname(), keydate, keyid }
}
