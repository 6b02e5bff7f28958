import { messageOf } from '../errors.ts'
import { parseRedisCommands, type RedisCommand } from './redis-commands.ts'
import { createSeedError } from './seed-error.ts'
import { readSeedFile } from './seed-file.ts'

/** The method of an `ioredis` client that is used here. */
export interface RedisCommandClient {
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown>
}

/**
 * Runs the commands of Redis files one after the other, in the given order.
 *
 * @throws InfraError `INFRA_SEED_FAILED` at the first command that fails; earlier commands remain in effect
 */
export async function loadRedisFiles(
  client: RedisCommandClient,
  files: readonly string[],
  root: string,
): Promise<void> {
  for (const path of files) {
    const { name: file, text } = await readSeedFile(path, { root, service: 'redis' })
    for (const command of parseRedisCommands(text, file)) {
      await runCommand(client, command).catch((cause: unknown) => {
        throw createSeedError({
          file,
          line: command.line,
          reason: `${String(command.args[0]).toUpperCase()}: ${messageOf(cause)}`,
          remedy: `Correct the command in ${file} and run the tests again`,
          service: 'redis',
          cause,
        })
      })
    }
  }
}

async function runCommand(client: RedisCommandClient, { args }: RedisCommand): Promise<void> {
  const [name, ...rest] = args
  const reply = await client.call(String(name), ...rest)
  // EXEC succeeds even if a command of its transaction failed. In this case, one of its replies is the error.
  const failure: unknown = Array.isArray(reply) ? reply.find((part) => part instanceof Error) : undefined
  if (failure !== undefined) {
    throw failure
  }
}
