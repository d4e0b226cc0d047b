import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What compiling better-sqlite3 needs; any command of a group will do. */
const TOOLS = [
  { commands: [process.env.PYTHON, 'python3', 'python'], name: 'Python 3', debian: 'python3', redhat: 'python3' },
  { commands: [process.env.MAKE, 'make'], name: 'make', debian: 'make', redhat: 'make' },
  { commands: [process.env.CXX, 'g++', 'clang++', 'c++'], name: 'a C++ compiler', debian: 'g++', redhat: 'gcc-c++' }
]

/** @returns {typeof TOOLS} those that are not on this machine */
export function missingTools() {
  return TOOLS.filter(tool => !tool.commands.some(command => command && answers(command)))
}

function answers(command) {
  const [program, ...args] = command.split(' ')
  return spawnSync(program, [...args, '--version'], { stdio: 'ignore' }).status === 0
}

/** @returns {string} a sentence that names the missing tools and how to get them */
export function howToInstall(missing) {
  const names = missing.map(tool => tool.name).join(', ')
  const debian = missing.map(tool => tool.debian).join(' ')
  const redhat = missing.map(tool => tool.redhat).join(' ')
  return `Compiling better-sqlite3 needs ${names}. Debian, Ubuntu: apt-get install ${debian}. Red Hat, Fedora: dnf install ${redhat}.`
}

/** @returns {string | undefined} the folder with this Node's own headers, so that none need to be downloaded */
export function nodeHeadersFolder() {
  const folder = dirname(dirname(process.execPath))
  return existsSync(join(folder, 'include', 'node', 'node.h')) ? folder : undefined
}
