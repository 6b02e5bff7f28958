ALTER TABLE "notes" ADD CONSTRAINT "notes_title_unique" UNIQUE("title");
