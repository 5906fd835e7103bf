--@ task AS SELECT *, project AS code, CASE WHEN status = 'done' AND AFTER(done_on) THEN 'in_progress' WHEN status = '' THEN 'not_started' ELSE status END AS stands FROM l_project_tasks WHERE status <> 'cancelled'
--= 1 任务数
SELECT ru, org, 1 AS v, code FROM task
--= 2 已完成
SELECT ru, org, 1 AS v, code FROM task WHERE stands = 'done'
--= 3 进行中
SELECT ru, org, 1 AS v, code FROM task WHERE stands = 'in_progress' AND NOT (due_on <> '' AND due_on < $D)
--= 4 未启动
SELECT ru, org, 1 AS v, code FROM task WHERE stands = 'not_started' AND NOT (due_on <> '' AND due_on < $D)
--= 5 逾期
SELECT ru, org, 1 AS v, code FROM task WHERE stands <> 'done' AND due_on <> '' AND due_on < $D
--= 6 完成率 = 2 / 1
--= x1 done by its due date, which has come; where nobody has said when, its last report says so
SELECT ru, org, 1 AS v, code FROM task WHERE stands = 'done' AND UNTIL(due_on)
  AND CASE WHEN done_on <> '' THEN done_on <= due_on ELSE updated_on <> '' AND updated_on <= due_on END
--= x2
SELECT ru, org, 1 AS v, code FROM task WHERE UNTIL(due_on)
--= 7 按期完成率 = x1 / x2
