import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import nacl from 'tweetnacl'
import { formatPrivateKey, formatSealKey } from '../../file-exchange/key-files.js'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { makeFolder } from '../../values/files/make-folder.js'
import { writeNewFile } from '../../values/files/write-new-file.js'
import { formatKeyHash } from '../../values/keys/key-hash.js'
import { signingKeySpki } from '../../values/keys/sign-file.js'
import { refuseForeign } from '../checks/foreign-folder.js'
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
      if (options.type !== 'seal') await generateSigningKey(options.out)
      if (options.type !== 'ed25519') await generateSealingKey(options.out)
    })
}

/** @throws {UsageError} */
function makeOut(folder: string): void {
  try {
    makeFolder(folder, 0o777)
  } catch (error) {
    throw new UsageError(`--out ${folder}: ${errorMessage(error)}`, { cause: error })
  }
}

async function generateSigningKey(folder: string): Promise<void> {
  const seed = nacl.randomBytes(nacl.sign.seedLength)
  const spki = signingKeySpki({ kind: 'ed25519', seed })
  const path = join(folder, 'treeline-sign.key')
  await writeNew(path, formatPrivateKey('ed25519', seed), 0o600)
  console.log(`signing key: ${path}\nits line for nodeslist.json:\n  "key-hash": "${formatKeyHash(spki)}"`)
}

async function generateSealingKey(folder: string): Promise<void> {
  const pair = nacl.box.keyPair()
  const path = join(folder, 'treeline-seal.key')
  const publicPath = join(folder, 'treeline-seal.pub')
  const publicKey = formatSealKey(pair.publicKey)
  await writeNew(path, formatPrivateKey('x25519', pair.secretKey), 0o600)
  await writeNew(publicPath, `${publicKey}\n`, 0o644)
  console.log(
    `key that opens sealed files: ${path}\nwhat senders give to --seal (also in ${publicPath}):\n  ${publicKey}`
  )
}

async function writeNew(path: string, content: string, mode: number): Promise<void> {
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
