import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import nacl from 'tweetnacl'
import { formatPrivateKey, formatSealKey } from '../../file-exchange/key-files.js'
import { writeNewFile } from '../../file-system/files/write-new-file.js'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { formatKeyHash } from '../../keys/signatures/key-hash.js'
import { signingKeySpki } from '../../keys/signatures/sign-file.js'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { refuseForeign } from '../checks/permissions/foreign-folder.js'
import { CommandError, UsageError } from '../command-error.js'
import { example } from '../options/example.js'

const AS_OWNER = 'run this as its owner'

/** `treeline key generate`. */
export function register(program: Command): void {
  program
    .command('key')
    .description('Generate keys for signatures and sealed files')
    .command('generate')
    .description('Generate keys; existing files stay as they are')
    .option('--out <dir>', 'folder for the files', '.')
    .addOption(
      new Option('--type <type>', 'a signing key, a sealing key, or both')
        .choices(['ed25519', 'seal', 'both'])
        .default('both')
    )
    .addHelpText('after', example('treeline key generate --out /etc/treeline'))
    .action(async (options: { readonly out: string; readonly type: string }) => {
      await refuseForeign([options.out], [], AS_OWNER)
      makeOut(options.out)
      await refuseForeign([options.out], [], AS_OWNER)
      const keys = [
        ...(options.type === 'seal' ? [] : [signingKey(options.out)]),
        ...(options.type === 'ed25519' ? [] : [sealingKey(options.out)])
      ]
      await writeAll(keys.flatMap(({ files }) => files))
      for (const { told } of keys) console.log(told)
    })
}

/** @throws {UsageError} */
function makeOut(folder: string): void {
  try {
    makeFolder(folder, 0o755)
  } catch (error) {
    throw new UsageError(`--out ${folder}: ${errorMessage(error)}`, { cause: error })
  }
}

interface NewFile {
  readonly path: string
  readonly content: string
  readonly mode: number
}

/** A key that was made, and is to be written. */
interface NewKey {
  readonly files: readonly NewFile[]
  readonly told: string
}

function signingKey(folder: string): NewKey {
  const seed = nacl.randomBytes(nacl.sign.seedLength)
  const spki = signingKeySpki({ kind: 'ed25519', seed })
  const path = join(folder, 'treeline-sign.key')
  return {
    files: [{ path, content: formatPrivateKey('ed25519', seed), mode: 0o600 }],
    told: `signing key: ${path}\nits line for nodeslist.json:\n  "key-hash": "${formatKeyHash(spki)}"`
  }
}

function sealingKey(folder: string): NewKey {
  const pair = nacl.box.keyPair()
  const path = join(folder, 'treeline-seal.key')
  const publicPath = join(folder, 'treeline-seal.pub')
  const publicKey = formatSealKey(pair.publicKey)
  return {
    files: [
      { path, content: formatPrivateKey('x25519', pair.secretKey), mode: 0o600 },
      { path: publicPath, content: `${publicKey}\n`, mode: 0o644 }
    ],
    told: `key that opens sealed files: ${path}\nwhat senders give to --seal (also in ${publicPath}):\n  ${publicKey}`
  }
}

/** Writes all files, or none: half of a pair would only be in the way of the next attempt. */
async function writeAll(files: readonly NewFile[]): Promise<void> {
  const written: string[] = []
  try {
    for (const file of files) {
      await writeNew(file)
      written.push(file.path)
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true })
    throw error
  }
}

async function writeNew({ path, content, mode }: NewFile): Promise<void> {
  try {
    await writeNewFile(path, content, mode)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw new CommandError(errorMessage(error), undefined, { cause: error })
    const isEmpty = (await stat(path).catch(() => undefined))?.size === 0
    throw new UsageError(
      isEmpty
        ? `${path} is there already, and empty, as after an interruption: remove it, and run this again`
        : `${path} is there already: move it away, or choose another --out`
    )
  }
}
