// Flips: unpacked here, filtered here. Every text of a question or an answer is put in as text, never as markup.
(() => {
  const PAGE = 10;
  const find = (id) => document.getElementById("flips-" + id);
  if (!find("data")) return;
  const sifts = Object.fromEntries([...document.querySelectorAll("[data-sift]")].map((one) => [one.dataset.sift, one]));
  const list = find("list");
  let data, facts, shown = [], at = 0;

  // What would turn or hide the words around it is shown by its number instead.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
  function put(node, text) {
    node.replaceChildren(...text.split(new RegExp(`(${HIDDEN.source})`, "u")).filter(Boolean).map((part) => {
      if (!HIDDEN.test(part)) return document.createTextNode(part);
      const sign = document.createElement("span");
      sign.className = "sign";
      sign.textContent = "U+" + part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      return sign;
    }));
  }

  const word = (name) => {
    const found = find("words").content.querySelector(`[data-word="${name}"]`);
    return found ? [...found.cloneNode(true).childNodes] : [document.createTextNode(name)];
  };
  const cut = (text) => [...text].slice(0, 120).join("").replace(/\s+/g, " ");
  const net = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toLocaleString("en");
  const holds = (answer) => 2 * answer.right > answer.of;
  const contrast = () => data.contrasts[Number(sifts.contrast.value)];

  // The flips of a contrast: [item, gained, cause], in the order of the exam.
  function turned({ challenger, incumbent }) {
    return data.items.flatMap((item) => {
      const [ours, theirs] = [item.answers[challenger], item.answers[incumbent]];
      if (!ours || !theirs || holds(ours) === holds(theirs)) return [];
      return [{ item, gained: holds(ours), cause: (holds(ours) ? theirs : ours).outcome }];
    });
  }

  function fits({ item, gained, cause }, words) {
    const has = {
      task: item.task, scenario: facts[item.task].scenario ?? "", lang: item.lang, cause,
      way: gained ? "gained" : "lost",
    };
    if (Object.entries(has).some(([name, value]) => sifts[name] && sifts[name].value && sifts[name].value !== value)) return false;
    if (!words) return true;
    const { challenger, incumbent } = contrast();
    const said = [challenger, incumbent].flatMap((name) => {
      const { text, thinking, extracted, rule } = item.answers[name];
      return [text, thinking, extracted, rule];
    });
    const all = [item.id, item.context, item.question, ...(item.options ?? []), item.gold, ...said];
    return all.some((part) => part && part.toLowerCase().includes(words));
  }

  function sift(keep) {
    const words = find("search").value.trim().toLowerCase();
    shown = turned(contrast()).filter((flip) => fits(flip, words));
    const gained = shown.filter((flip) => flip.gained).length;
    const told = { count: shown.length, gained, lost: shown.length - gained };
    for (const [name, value] of Object.entries(told)) find(name).textContent = value.toLocaleString("en");
    find("net").textContent = net(2 * gained - shown.length);
    at = Math.max(0, keep ? shown.findIndex(({ item }) => item === keep) : 0);
    draw();
  }

  function draw() {
    const first = Math.floor(at / PAGE) * PAGE, pages = Math.ceil(shown.length / PAGE);
    list.start = first + 1;
    list.replaceChildren(...shown.slice(first, first + PAGE).map((flip, place) => entry(flip, first + place)));
    find("page").textContent = pages ? `${first / PAGE + 1} / ${pages}` : "0";
    find("back").disabled = first === 0;
    find("on").disabled = first + PAGE >= shown.length;
    find("shown").hidden = !shown.length;
    if (shown.length) card(shown[at]);
  }

  function entry({ item, gained, cause }, place) {
    const row = document.createElement("li"), button = document.createElement("button");
    const [way, line, small] = ["span", "span", "small"].map((tag) => document.createElement(tag));
    button.type = "button";
    if (place === at) button.setAttribute("aria-current", "true");
    way.className = "way " + (gained ? "gained" : "lost");
    way.textContent = gained ? "+" : "−";
    put(line, cut(item.question || item.id));
    small.append(...word(cause), " · ", Object.assign(document.createElement("bdi"), { textContent: item.task }));
    button.append(way, line, small);
    button.addEventListener("click", () => { step(place); reveal(); });
    row.append(button);
    return row;
  }

  const address = ({ item }) => {
    const { challenger, incumbent } = contrast(), own = contrast() === data.contrasts[0];
    const more = own ? "" : `&of=${encodeURIComponent(challenger)}&against=${encodeURIComponent(incumbent)}`;
    return `#flip=${encodeURIComponent(item.task)}/${encodeURIComponent(item.id)}${more}`;
  };

  function choose() {
    draw();
    if (shown.length) history.replaceState(null, "", address(shown[at]));
  }

  // A copy of a template: `[data-put]` by name, and what is shown only `[data-when]`.
  function copy(name, when) {
    const made = find(name).content.cloneNode(true);
    for (const node of made.querySelectorAll("[data-when]")) node.hidden = !when[node.dataset.when];
    return [made, (slot) => made.querySelector(`[data-put="${slot}"]`)];
  }

  function card(flip) {
    const { item, gained } = flip, source = facts[item.task], told = Boolean(item.question);
    const [made, slot] = copy("card", { told, bare: !told, context: item.context });
    put(slot("id"), item.id);
    put(slot("task"), item.task);
    slot("way").className = "way " + (gained ? "gained" : "lost");
    slot("way").append(...word(gained ? "gained" : "lost"), " · ");
    if (source.scenario) slot("scenario").append(...word(source.scenario), " · ");
    slot("lang").append(...word(item.lang));
    slot("link").href = address(flip);
    slot("why").append(...word(source.told ? "full" : "untold"));
    for (const name of ["context", "question", "gold"]) put(slot(name), item[name] ?? "");
    slot("options").replaceChildren(...(item.options ?? []).map((option) => {
      const line = document.createElement("li");
      put(line, option);
      return line;
    }));
    const { challenger, incumbent } = contrast();
    slot("sides").append(...[challenger, incumbent].map((name) => side(name, item.answers[name], told)));
    const from = [source.title, source.licence, source.licence_url, source.source].filter(Boolean).join(" · ");
    slot("origin").append(...word("from"), " ", from);
    if (!source.commercial) slot("origin").append(" · ", ...word("noncommercial"));
    find("shown").replaceChildren(made);
  }

  function side(name, answer, told) {
    const [made, slot] = copy("side", { told: told && answer.text, thinking: answer.thinking });
    const box = document.createElement("div");
    box.className = holds(answer) ? "right" : "not";
    put(slot("name"), name);
    slot("outcome").append(...word(answer.outcome));
    slot("share").textContent = `${answer.right} / ${answer.of}`;
    put(slot("extracted"), answer.extracted ?? "–");
    put(slot("rule"), answer.rule || "–");
    for (const part of ["text", "thinking"]) put(slot(part), answer[part] ?? "");
    box.append(made);
    return box;
  }

  function step(to) {
    at = Math.min(shown.length - 1, Math.max(0, to));
    choose();
    list.querySelector("[aria-current]").focus();
  }

  // On a narrow screen a question stands below the list: whoever chose one wants to see it.
  function reveal() {
    if (find("shown").offsetLeft === list.parentNode.offsetLeft) find("shown").scrollIntoView({ block: "start" });
  }

  // #flip=TASK/ID, with &of=CHALLENGER&against=RIVAL where it is not the verdict's own contrast.
  function follow() {
    const told = /^#flip=([^/&]+)\/([^&]+)(?:&of=([^&]+)&against=([^&]+))?$/.exec(location.hash);
    find("absent").hidden = true;
    if (!told) return false;
    let task, id, of, against;
    try {
      [task, id, of, against] = told.slice(1).map((part) => part && decodeURIComponent(part));
    } catch { [task, id] = told.slice(1); }
    const which = data.contrasts.findIndex((one) => of ? one.challenger === of && one.incumbent === against :
      turned(one).some(({ item }) => item.task === task && item.id === id));
    const hit = which >= 0 && turned(data.contrasts[which]).find(({ item }) => item.task === task && item.id === id);
    if (!hit) {
      find("absent").hidden = false;
      put(find("absent").querySelector("bdi"), `${task}/${id}`);
    } else {
      for (const one of Object.values(sifts)) one.value = "";
      sifts.contrast.value = String(which);
      find("search").value = "";
      sift(hit.item);
    }
    find("browser").scrollIntoView({ block: "start" });
    return Boolean(hit);
  }

  function listen() {
    for (const one of Object.values(sifts)) one.addEventListener("change", () => sift(shown[at]?.item));
    let wait;
    find("search").addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => sift(shown[at]?.item), 150); });
    find("back").addEventListener("click", () => { at = Math.max(0, (Math.floor(at / PAGE) - 1) * PAGE); choose(); });
    find("on").addEventListener("click", () => { at = (Math.floor(at / PAGE) + 1) * PAGE; choose(); });
    list.addEventListener("keydown", (event) => {
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + PAGE, PageUp: at - PAGE, Home: 0, End: shown.length };
      if (!(event.key in to) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      step(to[event.key]);
    });
    addEventListener("hashchange", follow);
  }

  async function unpack() {
    const bytes = Uint8Array.from(atob(find("data").content.textContent.trim()), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    data = JSON.parse(await new Response(plain).text());
    facts = Object.fromEntries(data.tasks.map((task) => [task.task, task]));
    find("browser").hidden = false;
    listen();
    if (!follow()) sift();
  }

  if (typeof DecompressionStream === "undefined") find("unable").hidden = false;
  else unpack().catch((fault) => { find("unable").hidden = false; throw fault; });
})();
