import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Command, Option } from 'commander'
import { HASH_ALGORITHMS, type HashAlgorithm } from '../values/file-metadata.js'
import { type SigningKey, signFile, signingKeySpki } from '../values/file-signing.js'
import { checkFileKey, type FileKey } from '../values/ids.js'
import { AGENT_KEY_FILE, PASSPHRASE_VARIABLE, readSealKey } from './key-files.js'
import { ownNodeId } from './node-identity.js'
import { ownSigningKey } from './own-signing-key.js'
import { ProgressBar } from './progress-bar.js'
import { openRegularFile } from './regular-file.js'
import { addServerOptions, type ServerOptions, withClient } from './server-options.js'
import { StableFile } from './stable-file.js'
import { showBytes } from './table.js'
import { checkTtl } from './time-option.js'
import { isThere, uploadFile } from './upload.js'

interface ShareOptions extends ServerOptions {
  readonly ttl: string
  /** The key that signs; that of TLS is `tlsKey`. */
  readonly key: string
  readonly passphraseFile?: string
  readonly source?: string
  readonly seal?: string
  readonly algorithm: HashAlgorithm
}

/** Options of every command that signs. */
export function addSigningOptions(command: Command): Command {
  return addServerOptions(command, '--tls-key')
    .option('--key <file>', 'private key that signs: RSA or Ed25519 (PEM)', AGENT_KEY_FILE)
    .option('--passphrase-file <file>', `its passphrase (default: ${PASSPHRASE_VARIABLE}, or that of all agents)`)
    .addOption(new Option('--algorithm <name>', 'hash that is signed').choices([...HASH_ALGORITHMS]).default('sha512'))
    .option('--source <id>', "id of this node (default: as in --config, or the agent's)")
}

/** `treeline share <target> <file-id> <path>`. */
export function register(program: Command): void {
  addSigningOptions(program.command('share').description('Sign a file and share it with a node'))
    .argument('<target>', 'id of the node that it is for')
    .argument('<file-id>', 'its name there')
    .argument('<path>', 'the file')
    .requiredOption('--ttl <time>', 'how long it is kept: seconds, or such as 1day 2hours')
    .option('--seal <key>', 'let the target alone read it: its x25519:… key, or a file with it')
    .action(share)
}

async function share(target: string, fileId: string, path: string, options: ShareOptions): Promise<void> {
  checkTtl('--ttl', options.ttl)
  const fileKey = { target, source: await ownNodeId(options.source, '--source', options), fileId }
  checkFileKey(fileKey)
  if (options.seal === undefined) return shareFile(fileKey, path, options)
  const publicKey = await readSealKey(options.seal)
  await (await StableFile.open(path)).close() // tells of a wrong path before anything is written
  const folder = await mkdtemp(join(tmpdir(), 'treeline-seal-'))
  try {
    const sealed = join(folder, 'sealed')
    await seal(path, sealed, publicKey)
    await shareFile(fileKey, sealed, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function shareFile(fileKey: FileKey, path: string, options: ShareOptions): Promise<void> {
  const { algorithm } = options
  const signingKey = await ownSigningKey(options)
  const file = await StableFile.open(path)
  const bar = new ProgressBar(fileKey.fileId, file.sizeBytes)
  const { key: _, ...server } = options
  try {
    const hashValue = await file.hash(algorithm)
    await withClient(server, async client => {
      const name = `${fileKey.fileId} for ${fileKey.target}`
      if (await isThere(client, fileKey, hashValue)) return console.log(`${name}: there already, or on its way`)
      const parts = { signedAtMs: Date.now(), algorithm, hashValue }
      const metadata = signFile(signingKey, fileKey, parts, agentFields(signingKey, parts.signedAtMs))
      const outcome = await uploadFile(client, fileKey, file, metadata, options.ttl, bar.update)
      bar.clear()
      const state = outcome === 'stored' ? 'stored' : 'accepted, pending until the next relay can be reached'
      console.log(`${name}: ${state}, ${showBytes(file.sizeBytes)}`)
    })
  } finally {
    bar.clear()
    await file.close()
  }
}

/** What an existing relay requires beside the signature (contract, "The PUT body"). */
export function agentFields(signingKey: SigningKey, signedAtMs: number): Record<string, string> {
  const keydate = new Date(signedAtMs).toISOString().replace('T', ' ').replace('Z', ' +0000')
  const keyid = createHash('sha256').update(signingKeySpki(signingKey)).digest('hex').slice(0, 8).toUpperCase()
  return { hostname: hostname(), keydate, keyid }
}

async function seal(path: string, sealed: string, publicKey: Uint8Array): Promise<void> {
  const { createSealStream } = await import('./sealed-file.js')
  const { handle } = await openRegularFile(path)
  await pipeline(
    handle.createReadStream(),
    createSealStream(publicKey),
    createWriteStream(sealed, { mode: 0o600, flags: 'wx' })
  )
}
