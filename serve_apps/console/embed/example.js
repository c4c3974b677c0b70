// What a page of yours does: name the job, hand over the ticket.
const asked = new URLSearchParams(location.search);
const element = document.querySelector("thornback-job");
element.setAttribute("token", asked.get("token") ?? "");
element.setAttribute("job-id", asked.get("job") ?? "");
