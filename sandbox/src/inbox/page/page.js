// Asks for news five times a second while it is seen, and shows the mail whose number is in the address's fragment.
"use strict";

const byId = (id) => document.getElementById(id);
const selected = () => Number(location.hash.slice(1)) || null;
const clock = (time) => {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
};

let version = null;

function row(mail) {
  const subject = document.createElement("strong");
  subject.textContent = mail.subject || "(no subject)";
  const time = document.createElement("time");
  time.dateTime = mail.received_at;
  time.textContent = clock(mail.received_at);
  const to = document.createElement("span");
  to.textContent = mail.to;
  const link = document.createElement("a");
  link.href = `#${mail.number}`;
  link.dataset.number = mail.number;
  link.append(subject, time, to);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

function mark() {
  for (const link of document.querySelectorAll("#list a")) {
    if (Number(link.dataset.number) === selected()) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

async function refresh() {
  try {
    const response = await fetch(version === null ? "api/mails" : `api/mails?version=${version}`);
    if (response.status === 200) {
      const list = await response.json();
      version = list.version;
      byId("list").replaceChildren(...list.mails.map(row));
      byId("count").textContent = list.mails.length || "";
      byId("empty").hidden = list.mails.length > 0;
      mark();
    }
    byId("offline").hidden = true;
  } catch {
    // A restarted inbox counts its versions anew.
    version = null;
    byId("offline").hidden = false;
  }
}

async function show() {
  const number = selected();
  const response = number && (await fetch(`api/mails/${number}`).catch(() => null));
  if (number !== selected()) return;
  const mail = response && response.ok ? await response.json() : null;
  byId("mail").hidden = !mail;
  document.body.classList.toggle("reading", Boolean(mail));
  mark();
  if (!mail) return;
  byId("subject").textContent = mail.subject || "(no subject)";
  byId("from").textContent = mail.from;
  byId("to").textContent = mail.to;
  byId("time").textContent = new Date(mail.received_at).toLocaleString();
  byId("text-part").hidden = mail.text === null;
  byId("text").textContent = mail.text ?? "";
  byId("html-part").hidden = mail.html === null;
  byId("html").srcdoc = `<base target="_blank">${mail.html ?? ""}`;
}

byId("clear").addEventListener("click", async () => {
  await fetch("api/v1/messages", { method: "DELETE" }).catch(() => null);
  location.hash = "";
  await refresh();
});
addEventListener("hashchange", show);
refresh().then(show);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), 200);
