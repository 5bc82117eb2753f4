// Takes photos and folders that are dropped anywhere on the page, or chosen, and sends them one after the other.
const suffixOf = (name) => name.slice(name.lastIndexOf(".")).toLowerCase();
const isHidden = (part) => part.startsWith(".") || part === "__MACOSX" || part === "@eaDir";

async function* below(entry, path) {
  if (entry.isFile) {
    yield [path + entry.name, await new Promise((resolve, reject) => entry.file(resolve, reject))];
    return;
  }
  const reader = entry.createReader();
  let entries;
  do {
    entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    for (const child of entries) if (!isHidden(child.name)) yield* below(child, `${path}${entry.name}/`);
  } while (entries.length);
}

export default {
  template: `
    <div class="drop" :class="{ over }">
      <slot></slot>
      <div class="choose">
        <q-btn unelevated no-caps color="primary" label="Choose photos" @click="$refs.photos.click()" />
        <q-btn outline no-caps color="primary" label="Choose a folder" @click="$refs.folder.click()" />
      </div>
      <input ref="photos" type="file" multiple :accept="suffixes.join()" hidden @change="choose" />
      <input ref="folder" type="file" webkitdirectory hidden @change="choose" />
      <div v-if="total" class="progress" role="status">
        <q-linear-progress :value="(done + share) / total" :animation-speed="200" rounded size="8px" />
        <span>{{ done + 1 }} of {{ total }}: {{ name }}</span>
        <q-btn flat dense no-caps label="Stop" @click="$emit('stop')" />
      </div>
      <p v-for="line in notes" class="note" role="status">{{ line }}</p>
    </div>`,
  props: { url: String, suffixes: Array, megabytes: Number, room: Number, share: Number },
  data: () => ({ over: false, queue: [], total: 0, done: 0, name: "", notes: [], halted: false }),
  mounted() {
    window.addEventListener("pagehide", () => navigator.sendBeacon(`${this.url}/forget`));
    this.listeners = { dragover: this.hover, dragleave: this.leave, drop: this.drop };
    for (const [type, listener] of Object.entries(this.listeners)) document.addEventListener(type, listener);
  },
  unmounted() {
    for (const [type, listener] of Object.entries(this.listeners)) document.removeEventListener(type, listener);
  },
  methods: {
    hover(event) {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      this.over = true;
    },
    leave(event) {
      if (!event.relatedTarget) this.over = false;
    },
    async drop(event) {
      this.over = false;
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
      const files = [];
      this.notes = ["Reading the folder"];
      for (const entry of entries) for await (const file of below(entry, "")) files.push(file);
      this.take(files);
    },
    choose(event) {
      this.take([...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]));
      event.target.value = "";
    },
    take(files) {
      const wanted = files.filter(([path]) => {
        const parts = path.split("/").slice(1);
        return !parts.length || (!parts.some(isHidden) && this.suffixes.includes(suffixOf(path)));
      });
      wanted.sort(([a], [b]) => (a < b ? -1 : 1));
      const room = Math.max(this.room - (this.total - this.done), 0);
      this.notes = [];
      if (!wanted.length) this.notes.push("There are no photos in it.");
      if (wanted.length > room)
        this.notes.push(
          `${wanted.length - room} of ${wanted.length} photos were left out: there is room for ${room}. ` +
            "Clear the page first; crackexp survey takes any number.",
        );
      this.halted = false;
      this.queue.push(...wanted.slice(0, room));
      this.total += Math.min(wanted.length, room);
      if (!this.sending) this.send();
    },
    async send() {
      this.sending = true;
      while (this.queue.length) {
        const [name, file] = this.queue.shift();
        this.name = name;
        await this.sendOne(name, file);
        this.done += 1;
      }
      this.total = this.done = 0;
      this.sending = false;
    },
    async sendOne(name, file) {
      if (file.size > 1e6 * this.megabytes) {
        this.$emit("refused", name, `${(file.size / 1e6).toFixed(1)} MB are more than ${this.megabytes} MB`);
        return;
      }
      try {
        await file.slice(0, 1).arrayBuffer();
      } catch (error) {
        this.$emit("refused", name, `cannot be read (${error.message})`);
        return;
      }
      try {
        let answer;
        while (!answer || answer.status === 503) {
          if (answer) await new Promise((resolve) => setTimeout(resolve, 1000 * (answer.headers.get("Retry-After") ?? 3)));
          if (this.halted) return;
          answer = await fetch(`${this.url}?name=${encodeURIComponent(name)}`, { method: "POST", body: file });
        }
        if (answer.status >= 500) this.$emit("refused", name, "the program failed at it: its terminal says why");
        else if (!answer.ok) this.give(`${name} was not taken: ${await answer.text()}`);
      } catch (error) {
        this.give("The program does not answer. Look at its terminal, and reload this page when it runs.");
      }
    },
    give(note) {
      this.notes.push(note);
      this.halt();
    },
    halt() {
      this.halted = true;
      this.total -= this.queue.length;
      this.queue = [];
    },
  },
};
