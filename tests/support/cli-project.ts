import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import { shellWord } from '../../src/internal/shell-word.ts'
import { Project } from './snapshot-runs.ts'

const CLI = join(import.meta.dirname, '../../dist/cli.js')

/** The variables of this process that the command line inherits; those of this file's servers are not passed on. */
const INHERITED = /^(PATH|HOME|TMPDIR|LANG|XDG_RUNTIME_DIR|DOCKER_\w+)$/

export interface CliResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A project in its own folder, on which the built command line runs. Its containers are removed after the test. */
export class CliProject {
  readonly project: Project

  private constructor(project: Project) {
    this.project = project
  }

  /** Creates a project; `options` are the source of the options in `infra.config.mjs`. */
  static async create(options = '', files: Readonly<Record<string, string>> = {}): Promise<CliProject> {
    const config = `export default { snapshot: false, ${options} }`
    return new CliProject(await Project.create({ 'infra.config.mjs': config, ...files }))
  }

  /** Starts its servers, which stop after a minute without use. */
  async up(): Promise<void> {
    const { exitCode, stderr } = await this.run(['up', '--ttl', '1m'])
    if (exitCode !== 0) {
      throw new Error(stderr)
    }
  }

  /** Runs in a terminal, which combines both outputs and changes line ends. */
  async runInTerminal(args: readonly string[], { input = '', env = {} }: RunOptions = {}): Promise<CliResult> {
    return collect(this.startInTerminal(args, env), input)
  }

  /** Starts in a terminal; input arrives as from a keyboard. */
  startInTerminal(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcessWithoutNullStreams {
    // Some shells would exit on the signals of the keyboard themselves.
    const command = `exec ${[process.execPath, CLI, ...args].map(shellWord).join(' ')}`
    return this.#spawn('script', ['-qefc', command, '/dev/null'], { TERM: 'xterm', ...env })
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcessWithoutNullStreams {
    return this.#spawn(process.execPath, [CLI, ...args], env)
  }

  #spawn(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.test(name)))
    const child = spawn(program, args, {
      cwd: this.project.root,
      env: { ...inherited, ...env },
      stdio: 'pipe',
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    return child
  }

  async run(args: readonly string[], { input = '', env = {} }: RunOptions = {}): Promise<CliResult> {
    return collect(this.start(args, env), input)
  }
}

async function collect(child: ChildProcessWithoutNullStreams, input: string): Promise<CliResult> {
  child.stdin.on('error', () => {}).end(input)
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { exitCode, stdout, stderr }
}

interface RunOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}
