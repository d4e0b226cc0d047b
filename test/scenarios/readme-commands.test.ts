import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import { treelineCommand } from '../../demo/relay-process.js'
import { shellLine } from '../../demo/shell-line.js'
import { eventually } from '../support/eventually.js'
import { openShell, type ShellSession } from '../support/machine/shell-session.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const ROOT = join(import.meta.dirname, '../..')
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/
const PLACEHOLDER = new RegExp(`^ *…$|\\S*…|${TIME.source}| {2,}|\\blaptop\\b|(?<=runs as )you`, 'gm')

interface Part {
  readonly kind: 'commands' | 'output' | 'prose'
  readonly text: string
}

/** A page in its order: fenced blocks are commands, indented ones show what those print. */
function partsOf(markdown: string): Part[] {
  return [...markdown.matchAll(/```sh\n([\s\S]*?)```\n|((?:(?: {4}.*)?\n)+)|(.+\n)+/g)].flatMap(
    ([whole, commands, output]): Part[] => {
      if (commands !== undefined) return [{ kind: 'commands', text: commands }]
      if (output === undefined) return [{ kind: 'prose', text: whole }]
      return output.trim() === '' ? [] : [{ kind: 'output', text: output.replace(/^ {4}/gm, '') }]
    }
  )
}

/** One section of a page. */
function section(page: string, heading: string): string {
  const [, text = ''] = page.split(`\n## ${heading}\n`)
  return text.split('\n## ')[0] ?? ''
}

function replaceAll(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((result, [from, to]) => {
    assert.ok(result.includes(from), `no ${from} in the page`)
    return result.replaceAll(from, to)
  }, text)
}

/** Outputs of several agents come in any order. */
function comparable(text: string): string {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  const ofAgents = lines.filter(line => line.endsWith(': agent run')).sort()
  return lines.map(line => (line.endsWith(': agent run') ? (ofAgents.shift() ?? '') : line)).join('\n')
}

/** What a page abbreviates (`63adfa61da6d.1nmWUY…`), and what stands there in truth: the same thing wherever it occurs. */
class Abbreviations {
  readonly #meant = new Map<string, string>()

  /** Commands with what is meant, once that was printed. */
  expand(commands: string): string {
    return commands.replace(/\S+…/g, word => this.#meant.get(word) ?? assert.fail(`${word} was not printed before`))
  }

  /** Compares an output with what the page shows. @param isWhole whether the page shows all of it */
  assertShown(shown: string, printed: string, isWhole: boolean): void {
    const unknown: string[] = []
    const pattern = comparable(shown).replace(
      new RegExp(`(${PLACEHOLDER.source})|[.*+?^$\{}()|[\\]\\\\]`, 'gm'),
      (found: string, placeholder?: string) =>
        placeholder === undefined ? `\\${found}` : this.#pattern(found, unknown)
    )
    const match = new RegExp(`^${pattern}${isWhole ? '$' : ''}`).exec(comparable(printed))
    assert.ok(match, `README.md shows\n${shown}\nbut this is printed:\n${printed}`)
    for (const [index, word] of unknown.entries()) {
      const meant: string = match[index + 1] ?? ''
      assert.equal(this.#meant.get(word) ?? meant, meant, `${word} is twice in one output`)
      this.#meant.set(word, meant)
    }
  }

  #pattern(word: string, unknown: string[]): string {
    if (word.trim() === '') return ' +'
    if (word.trim() === '…') return '.*(?:\\n.*)*?'
    if (TIME.test(word)) return TIME.source
    if (!word.endsWith('…') || word === '…') return '\\S+'
    const meant = this.#meant.get(word)
    if (meant !== undefined) return meant.replace(/[.+]/g, '\\$&')
    unknown.push(word)
    return word.startsWith('sha256//') ? '(sha256//[\\w+/]{43}=)' : '([\\w-]+(?:\\.[\\w-]+)+)'
  }
}

/** Waits for the line `ready` of each program whose output a block sends to a file. */
async function untilReady(folder: string, commands: string): Promise<void> {
  for (const [, name = ''] of commands.matchAll(/> (\S+\.log) &$/gm)) {
    await eventually(`ready in ${name}`, async () => {
      const log = await readFile(join(folder, name), 'utf8').catch(() => '') // its shell may not have made it yet
      return log.includes('"msg":"ready"')
    })
  }
}

/** Runs a shell for a test. It ends before the folder goes. */
async function inShell(
  t: TestContext,
  localPort: number,
  work: (shell: ShellSession, folder: string) => Promise<void>
): Promise<void> {
  const folder = await temporaryFolder(t)
  const env = { TREELINE_SERVER: `http://127.0.0.1:${localPort}`, TREELINE_CONFIG: '' }
  const shell = openShell(folder, env)
  try {
    await work(shell, folder)
  } finally {
    await shell.close()
  }
}

const THIS_PROGRAM = { 'node /opt/treeline/dist/treeline/main.js': ownCommand() }

function ownCommand(): string {
  const { program, args } = treelineCommand([])
  return shellLine([program, ...args])
}

test('the eight commands of README.md make a tree, and print what it says', async t => {
  const [local = 0, relayLocal = 0, root = 0, relay = 0] = await freePorts(4)
  const text = replaceAll(section(await readFile(join(ROOT, 'README.md'), 'utf8'), 'A new tree'), {
    ...THIS_PROGRAM,
    '--host localhost:8443': `--host localhost:8443 --listen 127.0.0.1:${local}`, // 3030 without
    '127.0.0.1:3031': `127.0.0.1:${relayLocal}`,
    'localhost:8443': `localhost:${root}`,
    '127.0.0.1:8444': `127.0.0.1:${relay}`
  })
  await inShell(t, local, async (shell, folder) => {
    const abbreviations = new Abbreviations()
    let printed = ''
    let file: string | undefined
    let count = 0
    let shownCount = 0
    for (const part of partsOf(text)) {
      if (part.kind === 'commands') {
        count += [...part.text.matchAll(/^(?:echo .* \| )?treeline [a-z]/gm)].length
        printed = await shell.run(abbreviations.expand(part.text))
        await untilReady(join(folder, 'tree'), part.text)
      } else if (part.kind === 'prose') {
        file = /`(\S+\.log)` then begins with/.exec(part.text)?.[1]
      } else {
        const output = file === undefined ? printed : await readFile(join(folder, 'tree', file), 'utf8')
        abbreviations.assertShown(part.text, output, file === undefined)
        shownCount += 1
      }
    }
    assert.deepEqual([count, shownCount], [8, 6])
    assert.equal((await shell.run('jobs -p')).trim().split('\n').length, 3)
    const [, kill = ''] = /`(kill [^`]+)` stops the three processes/.exec(text) ?? []
    await shell.run(`${kill}; wait`)
    assert.equal(await shell.run('jobs -p'), '')
  })
})

test('the commands of docs/by-hand.md succeed, one after the other', async t => {
  const [local = 0] = await freePorts(1)
  const text = replaceAll(await readFile(join(ROOT, 'docs/by-hand.md'), 'utf8'), {
    ...THIS_PROGRAM,
    '127.0.0.1:3030': `127.0.0.1:${local}`,
    'treeline serve --config .\n': 'treeline serve --config . > relay.log &\n' // it has a terminal of its own there
  })
  await inShell(t, local, async (shell, folder) => {
    const outputs: string[] = []
    await shell.run('curl() { command curl --fail --silent --show-error "$@"; }; set -e')
    for (const { text: commands } of partsOf(text).filter(({ kind }) => kind === 'commands')) {
      outputs.push(await shell.run(commands))
      await untilReady(folder, commands)
    }
    const [, runsAndFiles = '', byHand = ''] = outputs
    assert.match(runsAndFiles, /^root$/m)
    assert.match(runsAndFiles, /^3 of 3 done$/m)
    assert.match(runsAndFiles, /"outcome":"done"/)
    assert.match(runsAndFiles, /^HTTP\/1\.1 200 /m)
    assert.match(byHand, /^HTTP\/1\.1 200 /m)
    assert.equal(await readFile(join(folder, 'received.txt'), 'utf8'), 'hello\n')
  })
})
