mod tables;
mod twilio;
