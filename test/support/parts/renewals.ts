import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { formatCertificate } from '../../../src/keys/certificates/pem.js'
import type { JoinAnswer } from '../../../src/membership/member-types.js'
import { type IssueRequest, makeAuthority, openAuthority } from '../../../src/membership/root/certificate-authority.js'

export const DAY_MS = 86_400_000

export interface Line {
  readonly level: number
  readonly msg: string
  readonly reason: string
  readonly until: string
}

export interface Setting {
  readonly certificateFile: string
  readonly keyFile: string
  readonly nowMs: number
  /** The key itself, as PEM. */
  readonly key: string
  /** Another one for the same key, or as `other` says. */
  readonly issue: (nowMs: number, lifetimeMs: number, other?: Partial<IssueRequest>) => Promise<string>
}

/** A machine that has a certificate of `lifetimeMs` from now on. */
export async function setUpRenewal(t: TestContext, lifetimeMs = 90 * DAY_MS): Promise<Setting> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-keeper-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const nowMs = Date.now()
  const ca = await makeAuthority('Test CA', nowMs)
  const authority = openAuthority(ca)
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'der' })
  const asked = { id: 'relay-a', purpose: 'relay', hostnames: ['relay-a.example'], publicKey } as const
  const issue = async (atMs: number, lifeMs: number, other: Partial<IssueRequest> = {}) =>
    formatCertificate(await authority.issue({ ...asked, nowMs: atMs, lifetimeMs: lifeMs, ...other }))
  const [certificateFile, keyFile] = [join(folder, 'certificate.pem'), join(folder, 'tls.key')]
  await writeFile(certificateFile, await issue(nowMs, lifetimeMs))
  const key = String(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(keyFile, key)
  await writeFile(join(folder, 'ca.pem'), ca.certificate) // as join writes it
  return { certificateFile, keyFile, nowMs, key, issue }
}

/** An answer of the root with this certificate. */
export function answerWith(certificate: string): JoinAnswer {
  const policyServer = { id: 'root', hostname: 'root.example', port: undefined, certificates: '' }
  return { id: 'relay-a', kind: 'relay', certificate, ca: '', policyServer }
}
