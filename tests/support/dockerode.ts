import type { ContainerRuntimeClient } from 'testcontainers'

/** Testcontainers' client of the engine, which is independent of ours; its package is not a dependency of ours. */
export type Dockerode = ContainerRuntimeClient['container']['dockerode']
export type Container = ReturnType<Dockerode['getContainer']>
