import { type AddHelpTextContext, type AddHelpTextPosition, Command, type ErrorOptions, type Option } from 'commander'
import { exampleIn } from './options/example.js'

/** A command that, where something is missing, says what that is and shows a whole command line. */
export class CommandWithExample extends Command {
  #example: string | undefined

  override createCommand(name?: string): CommandWithExample {
    return new CommandWithExample(name)
  }

  override addHelpText(position: AddHelpTextPosition, text: string | ((context: AddHelpTextContext) => string)): this {
    if (typeof text === 'string') this.#example ??= exampleIn(text)
    return typeof text === 'string' ? super.addHelpText(position, text) : super.addHelpText(position, text)
  }

  /** Adds to an unknown option how an argument is given that looks like one, such as the id of a node. */
  override error(message: string, options?: ErrorOptions): never {
    const [argument] = this.registeredArguments
    const isOther = options?.code !== 'commander.unknownOption'
    const hint = isOther || argument === undefined ? '' : `\n(a <${argument.name()}> that begins with - comes after --)`
    return super.error(`${message}${hint}`, options)
  }

  /** Called by commander for an argument that is not there. */
  missingArgument(name: string): never {
    const argument = this.registeredArguments.find(each => each.name() === name)
    this.#refuse(`<${name}> is missing`, argument?.description)
  }

  /** Called by commander for an option that has to be there. */
  missingMandatoryOptionValue({ flags, description }: Option): never {
    this.#refuse(`${flags} is missing`, description)
  }

  /** Called by commander for an option whose value is not there. */
  optionMissingArgument({ flags, description }: Option): never {
    this.error(`error: ${described(`${flags} needs a value`, description)}`)
  }

  /** Called by commander for arguments that the command does not take. */
  _excessArguments(given: readonly string[]): never {
    this.#refuse(`too many arguments for '${this.name()}': ${given.slice(this.registeredArguments.length).join(' ')}`)
  }

  #refuse(problem: string, description?: string): never {
    const line = this.#example === undefined ? '' : `\nfor example: ${this.#example}`
    this.error(`error: ${described(problem, description)}${line}`)
  }
}

function described(problem: string, description = ''): string {
  return description === '' ? problem : `${problem}: ${description}`
}
