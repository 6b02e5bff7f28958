/*
 * A module of Redis with one command, GREETER.HELLO. It needs neither a
 * header nor a C library, so that one file serves every image of the machine's architecture.
 */
#define API(name) ((int (*)(const char *, void *))((void **)context)[0])("RedisModule_" #name, (void *)&name)

static int (*CreateCommand)(void *context, const char *name, int (*call)(void *, void **, int), const char *flags,
                            int first, int last, int step);
static int (*ReplyWithString)(void *context, void *text);
static int (*SetModuleAttribs)(void *context, const char *name, int version, int api);
static void *(*CreateString)(void *context, const char *text, unsigned long length);

static void *greeting;

static int hello(void *context, void **words, int count) {
  (void)words, (void)count;
  return ReplyWithString(context, greeting);
}

__attribute__((visibility("default"))) int RedisModule_OnLoad(void *context, void **words, int count) {
  (void)words, (void)count;
  API(SetModuleAttribs);
  API(CreateCommand);
  API(ReplyWithString);
  API(CreateString);
  SetModuleAttribs(context, "greeter", 1, 1);
  greeting = CreateString(0, "hello", 5);
  return CreateCommand(context, "greeter.hello", hello, "readonly", 0, 0, 0);
}
